"""The positions of a batch that predict its answers; the logits of all others are not needed to learn them."""

import torch
import torch.nn.functional as F

from comem_hf.training.data.chat import IGNORE_INDEX


def predicts_answer(labels: torch.Tensor) -> torch.BoolTensor:
    """Return where the next token is one of an answer.

    Args:
        labels (`torch.Tensor` of shape `(batch, length)`): The labels; -100 where nothing is learned.

    Returns:
        `torch.BoolTensor` of shape `(batch, length)`: `logits_to_keep` of a model that computes no other logits.
    """
    return F.pad(labels[:, 1:] != IGNORE_INDEX, (0, 1))


def answer_tokens(labels: torch.Tensor) -> torch.Tensor:
    """Return the tokens of the answers that are predicted, row by row, of shape `(answer tokens,)`."""
    labels = labels[:, 1:]
    return labels[labels != IGNORE_INDEX]


def answer_logits(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the logits at which the tokens of the answers are predicted, row by row.

    Args:
        logits (`torch.Tensor`): A batch's logits of shape `(batch, length, vocabulary)`, or those at the positions of
            [`predicts_answer`] alone, of shape `(answer tokens, vocabulary)`.
        labels (`torch.Tensor` of shape `(batch, length)`): The labels; -100 where nothing is learned.

    Returns:
        `torch.Tensor` of shape `(answer tokens, vocabulary)`: In the order of [`answer_tokens`].
    """
    return logits if logits.ndim == 2 else logits[predicts_answer(labels).to(logits.device)]
