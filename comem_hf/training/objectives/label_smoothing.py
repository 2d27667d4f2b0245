"""Cross-entropy with smoothed labels, for models whose labels are the input ids themselves."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .answer_tokens import answer_logits, answer_tokens


class SmoothedLoss:
    """The loss of a `Trainer` with label smoothing (Szegedy et al. 2016, section 7), each token predicted by the last.

    transformers' own smoothing compares each position with the label at the same position, unless it knows the model
    as one of a causal language, which it does not of vision-language models, Qwen2-VL included.

    Args:
        epsilon (`float`): Probability that is taken from the label and spread evenly over the vocabulary.
    """

    def __init__(self, epsilon: float):
        self.epsilon = epsilon

    def __call__(self, outputs, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None):
        """Compute the loss of a batch.

        Args:
            outputs (`ModelOutput`): Outputs with `logits` in a form that [`answer_logits`] takes.
            labels (`torch.Tensor` of shape `(batch, length)`): The labels; -100 where nothing is learned.
            num_items_in_batch (`torch.Tensor` or `int`, *optional*): Number of tokens that the sum is divided by, in
                all batches of an update and all processes; by default those of this batch.

        Returns:
            `torch.Tensor`: The mean loss in nats.
        """
        logits = answer_logits(outputs["logits"], labels)
        tokens = answer_tokens(labels).to(logits.device)
        total = F.cross_entropy(logits.float(), tokens, label_smoothing=self.epsilon, reduction="sum")
        if num_items_in_batch is None:
            num_items_in_batch = len(tokens)
        return total / torch.as_tensor(num_items_in_batch, device=total.device).clamp(min=1)


def refuse_loss_outside(model: nn.Module | None, label_smoothing_factor: float, compute_loss_func: Any = None) -> None:
    """Refuse a loss that a `Trainer` computes itself, if the model must see the labels.

    A `Trainer` then keeps the labels from the model. Memory in the vision tower needs them: the question that it is
    conditioned on is the prompt without the answers, and the alignment loss compares it with the answers. So does a
    text-only reader that gets the whole prompt encoded: without them it would be shown the answers.

    Args:
        model (`nn.Module`, *optional*): The model.
        label_smoothing_factor (`float`): As in `TrainingArguments`.
        compute_loss_func (`Callable`, *optional*): As in `Trainer`.

    Raises:
        ValueError: If the model has memory in the vision tower or such a reader, and there is such a loss.
    """
    if getattr(model, "vision_memory", None) is not None:
        needs = "memory in the vision tower"
    elif getattr(model, "reader", None) is not None and model.config.reader_prompt == "whole":
        needs = "a text-only reader of the whole prompt"
    else:
        return
    reason = f"with {needs}, which needs the labels to tell the question from the answer"
    if label_smoothing_factor > 0:
        raise ValueError(f"`label_smoothing_factor` must be 0 {reason}, got {label_smoothing_factor!r}.")
    if compute_loss_func is not None:
        raise ValueError(f"`compute_loss_func` must be None {reason}; override `compute_loss` instead.")
