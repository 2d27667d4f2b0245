"""A mix of the states that an item has after several layers of the encoder."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


class CoMemLayerMix(nn.Module):
    """Learned weights over layers, whose states are scaled to a root mean square of 1 and added.

    With `h_l` an item's states after layer `l`, the mix is `sum_l softmax(w)_l h_l / rms(h_l)`, the scalar mix of ELMo
    (Peters et al. 2018, section 3.2) with normalised layers; all layers weigh the same at the start. That early layers
    tell a reader what the last one has overwritten is the finding of ComprExIT (arXiv 2602.03784), which weighs layers
    for each token.

    Args:
        num_layers (`int`): Number of layers.
    """

    def __init__(self, num_layers: int):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_layers))

    def forward(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """Mix the states of an item.

        Args:
            states (`Sequence[torch.Tensor]`): One tensor `(items, length, hidden)` for each layer.

        Returns:
            `torch.Tensor` of shape `(items, length, hidden)`.
        """
        weights = self.logits.float().softmax(dim=0)
        mixed = 0.0
        for weight, state in zip(weights, states, strict=True):
            mixed = mixed + weight * F.rms_norm(state.float(), state.shape[-1:], eps=1e-6)
        return mixed.to(states[-1].dtype)


__all__ = ["CoMemLayerMix"]
