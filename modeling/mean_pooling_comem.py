"""Mean pooling of an item's hidden states, in place of the resampler."""

from collections.abc import Sequence

import torch
from torch import nn

from .configuration_comem import CoMemConfig
from .layer_mix_comem import CoMemLayerMix
from .resampler_comem import Projection


class CoMemMeanPooling(nn.Module):
    """Means of segments of an item's states, projected.

    Of an item of `T` tokens, padding left out, vector `j` of `n` is the mean of the states from `floor(j T / n)` to
    `ceil((j + 1) T / n) - 1`, as in torch's adaptive average pooling: segments are never empty, and share tokens where
    `n` does not divide `T`. Then come a linear layer and a normalisation. The encoder's states see only earlier
    tokens, and so do these vectors. Tensors in a checkpoint, under `memory_encoder.resampler.`: `out_proj`, `norm`,
    and `layer_mix.logits` if layers are mixed.

    Args:
        config ([`CoMemConfig`]): `num_memory_tokens` and `hidden_size` decide the shapes.
    """

    def __init__(self, config: CoMemConfig):
        super().__init__()
        self.num_memory_tokens = config.num_memory_tokens
        self.layer_mix = CoMemLayerMix(len(config.mixed_layers)) if config.mixed_layers else None
        self.project_out = Projection(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)

    @torch.no_grad()
    def start(self, size: float):
        """Set the weights from which training starts.

        Args:
            size (`float`): Root mean square of new memory vectors.
        """
        self.norm.weight.fill_(size)

    def forward(
        self, hidden_states: torch.Tensor | Sequence[torch.Tensor], attention_mask: torch.Tensor
    ) -> torch.Tensor:
        """Turn hidden states into memory vectors; arguments and result are those of [`CoMemResampler`]."""
        if self.layer_mix is not None:
            hidden_states = self.layer_mix(hidden_states)
        mask = attention_mask.bool()
        # Integers only: `ceil(a / b)` is `(a + b - 1) // b`.
        count, places, parts = mask.sum(dim=1)[:, None], mask.cumsum(dim=1) - 1, self.num_memory_tokens
        segments = torch.arange(parts, device=mask.device)
        first, last = segments * count // parts, ((segments + 1) * count + parts - 1) // parts
        inside = (places[:, None] >= first[..., None]) & (places[:, None] < last[..., None]) & mask[:, None]
        means = (inside / inside.sum(dim=2, keepdim=True)).to(hidden_states.dtype) @ hidden_states
        return self.norm(self.project_out(means))


__all__ = ["CoMemMeanPooling"]
