"""Distillation of the backbone that reads the items in its prompt."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from .answer_tokens import predicts_answer


@torch.no_grad()
def teacher_logits(backbone: PreTrainedModel, inputs: Mapping[str, Any]) -> torch.Tensor:
    """Compute what a backbone predicts at each token of the answers, and no other logits.

    Args:
        backbone ([`~transformers.PreTrainedModel`]): The model that reads the items in its prompt.
        inputs (mapping): Arguments of its `forward`, `labels` among them.

    Returns:
        `torch.Tensor` of shape `(answer tokens, vocabulary)`: The logits, row by row.
    """
    inputs = dict(inputs)
    mask = predicts_answer(inputs.pop("labels"))
    states = backbone.model(**inputs, use_cache=False).last_hidden_state
    return backbone.get_output_embeddings()(states[mask.to(states.device)])


def answer_divergence(logits: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of the student's predictions from the teacher's, at each token of the answers.

    Args:
        logits (`torch.Tensor` of shape `(answer tokens, vocabulary)`): The student's logits, see [`answer_logits`].
        teacher_logits (`torch.Tensor` of shape `(answer tokens, vocabulary)`): The teacher's, of the same answers.

    Returns:
        `torch.Tensor` of shape `(answer tokens,)`: KL(teacher || student) in nats.
    """
    student, teacher = (F.log_softmax(scores.float(), dim=-1) for scores in (logits, teacher_logits))
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
