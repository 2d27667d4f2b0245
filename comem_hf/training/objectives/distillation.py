"""Distillation of the backbone that reads the items in its prompt."""

import torch
import torch.nn.functional as F

from comem_hf.training.data.chat import IGNORE_INDEX


def answer_divergence(
    logits: torch.Tensor, labels: torch.Tensor, teacher_logits: torch.Tensor, teacher_labels: torch.Tensor
) -> torch.Tensor:
    """Kullback-Leibler divergence of the student's predictions from the teacher's, at each token of the answers.

    Args:
        logits (`torch.Tensor` of shape `(batch, length, vocabulary)`): The student's logits.
        labels (`torch.Tensor` of shape `(batch, length)`): The student's labels; -100 where nothing is learned.
        teacher_logits (`torch.Tensor` of shape `(batch, teacher length, vocabulary)`): The teacher's logits; its
            prompts may have other lengths.
        teacher_labels (`torch.Tensor` of shape `(batch, teacher length)`): The teacher's labels: the same answers.

    Returns:
        `torch.Tensor` of shape `(answer tokens,)`: KL(teacher || student) in nats.
    """
    student, teacher = (
        F.log_softmax(scores[:, :-1][target[:, 1:] != IGNORE_INDEX].float(), dim=-1)
        for scores, target in ((logits, labels), (teacher_logits, teacher_labels))
    )
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
