"""Reconstruction: the frozen backbone repeats the text of an item from its memory alone."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from comem_hf.training.data.chat import IGNORE_INDEX


def reconstruction_loss(model: nn.Module, inputs: dict[str, Any], shares: torch.Tensor) -> torch.Tensor:
    """Compute how badly the backbone repeats the items, as in the autoencoding task of ICAE (Ge et al. 2024).

    The loss of a sample is the mean, over the tokens of its first item's text, of the cross-entropy given the item's
    vectors and the request to repeat it. It counts as much as the sample's answer.

    Args:
        model (`torch.nn.Module`): The model, as the trainer wraps it: it runs once more.
        inputs (`dict`): `reconstruction_inputs` of a [`MemoryCollator`]; `rows` are the numbers of their samples.
        shares (`torch.Tensor` of shape `(batch,)`): How much each sample counts (see [`answer_shares`]).

    Returns:
        `torch.Tensor`: The sum over the samples, in nats.
    """
    inputs = dict(inputs)
    rows, labels = inputs.pop("rows"), inputs.pop("labels")
    is_learned = labels != IGNORE_INDEX
    # Texts stand at the end; each token is predicted at the position before.
    columns = is_learned.any(dim=0).nonzero()
    kept = labels.shape[1] - int(columns[0]) + 1 if len(columns) else 2
    logits = model(**inputs, logits_to_keep=kept, use_cache=False).logits[:, -kept:-1].float()
    labels, is_learned = labels[:, 1 - kept :], is_learned[:, 1 - kept :]
    losses = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORE_INDEX, reduction="none")
    means = losses.sum(dim=1) / is_learned.sum(dim=1).clamp(min=1)
    return (means * shares.to(means.device)[rows.to(means.device)]).sum()
