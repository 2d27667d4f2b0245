"""How much each sample of a batch counts in an added loss."""

import torch

from comem_hf.training.data.chat import IGNORE_INDEX


def answer_shares(
    labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None, num_processes: int = 1
) -> torch.Tensor:
    """Return each sample's share of the answers, by which its other losses are weighted as its answer is.

    So a loss per sample is the same with gradient accumulation, on several processes and in one large batch.

    Args:
        labels (`torch.Tensor` of shape `(batch, length)`): The labels; -100 where nothing is learned.
        num_items_in_batch (`torch.Tensor` or `int`, *optional*): Tokens of the answers in all batches of an update
            and all processes; by default those of this batch.
        num_processes (`int`, *optional*, defaults to 1): Processes over which gradients are averaged.

    Returns:
        `torch.Tensor` of shape `(batch,)`: The shares, in float32; 0 for a sample without an answer.
    """
    counts = (labels[:, 1:] != IGNORE_INDEX).sum(dim=1)
    if num_items_in_batch is None:
        return counts / counts.sum().clamp(min=1)
    return counts * num_processes / num_items_in_batch
