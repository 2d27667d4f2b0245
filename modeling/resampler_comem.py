"""The Perceiver resampler that turns an item's hidden states into a few memory vectors."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .configuration_comem import CoMemConfig
from .layer_mix_comem import CoMemLayerMix
from .sharded_weights_comem import whole_tensor


# Names of projections in a checkpoint. The module has others, because users put adapters on layers of these names.
CHECKPOINT_NAMES = {
    "project_in": "in_proj",
    "to_query": "q_proj",
    "to_key": "k_proj",
    "to_value": "v_proj",
    "to_output": "o_proj",
    "widen": "up_proj",
    "narrow": "down_proj",
    "project_out": "out_proj",
}
SHARPNESS = 4.0  # standard deviation of the logits of new attention


def root_mean_square(weights: torch.Tensor) -> float:
    """Return the root mean square of a matrix, some rows at a time: in float32 a vocabulary takes a gigabyte."""
    weights = whole_tensor(weights)
    squares = sum(rows.float().pow(2).sum() for rows in weights.split(4096))
    return (squares / weights.numel()).sqrt().item()


class Projection(nn.Module):
    """A linear layer that PEFT does not take for one of the backbone's, neither by its type nor by its name."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        self.in_features = in_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        nn.init.xavier_uniform_(self.weight)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return F.linear(states, self.weight, self.bias)


class CoMemResamplerAttention(nn.Module):
    """Attention of the queries to the item and to themselves; keys and values are made of both."""

    def __init__(self, hidden_size: int, num_heads: int, head_dim: int):
        super().__init__()
        self.head_dim = head_dim
        self.context_norm = nn.LayerNorm(hidden_size)
        self.query_norm = nn.LayerNorm(hidden_size)
        self.to_query = Projection(hidden_size, num_heads * head_dim, bias=False)
        self.to_key = Projection(hidden_size, num_heads * head_dim, bias=False)
        self.to_value = Projection(hidden_size, num_heads * head_dim, bias=False)
        self.to_output = Projection(num_heads * head_dim, hidden_size, bias=False)

    def read(self, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute keys and values of the item.

        Args:
            context (`torch.Tensor` of shape `(items, length, hidden)`): The item's hidden states.

        Returns:
            `tuple(torch.Tensor)`: Keys and values, `(items, heads, length, head_dim)` each.
        """
        context = self.context_norm(context)
        return self._split_heads(self.to_key(context)), self._split_heads(self.to_value(context))

    def forward(
        self, queries: torch.Tensor, item: tuple[torch.Tensor, torch.Tensor], mask: torch.Tensor
    ) -> torch.Tensor:
        """Compute the queries' attention to the item and to themselves.

        Args:
            queries (`torch.Tensor` of shape `(items, memory tokens, hidden)`): The vectors that become memory.
            item (`tuple(torch.Tensor)`): Keys and values of the item, as `read` returns them.
            mask (`torch.Tensor` of shape `(items, 1, 1, length + memory tokens)`): False at padding.
        """
        queries = self.query_norm(queries)
        keys, values = item
        heads = F.scaled_dot_product_attention(
            self._split_heads(self.to_query(queries)),
            torch.cat([keys, self._split_heads(self.to_key(queries))], dim=2),
            torch.cat([values, self._split_heads(self.to_value(queries))], dim=2),
            attn_mask=mask,
        )
        return self.to_output(heads.transpose(1, 2).flatten(2))

    def _split_heads(self, states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)


class CoMemResamplerMLP(nn.Module):
    """Normalisation and two linear layers without bias."""

    def __init__(self, hidden_size: int, intermediate_size: int):
        super().__init__()
        self.norm = nn.LayerNorm(hidden_size)
        self.widen = Projection(hidden_size, intermediate_size, bias=False)
        self.narrow = Projection(intermediate_size, hidden_size, bias=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.narrow(F.gelu(self.widen(self.norm(states))))


class CoMemResamplerLayer(nn.Module):
    """One pass: attention, then feed-forward, both with residuals."""

    def __init__(self, hidden_size: int, num_heads: int, head_dim: int, ff_mult: int):
        super().__init__()
        self.attention = CoMemResamplerAttention(hidden_size, num_heads, head_dim)
        self.mlp = CoMemResamplerMLP(hidden_size, hidden_size * ff_mult)

    def forward(
        self, queries: torch.Tensor, item: tuple[torch.Tensor, torch.Tensor], mask: torch.Tensor
    ) -> torch.Tensor:
        queries = queries + self.attention(queries, item, mask)
        return queries + self.mlp(queries)


class CoMemResampler(nn.Module):
    """Perceiver resampler with learned queries, which turns hidden states into memory vectors.

    It has the form of IP-Adapter's resampler, as in the published models (the paper calls it a Q-Former). Its tensors
    in a checkpoint, under `memory_encoder.resampler.`, and those of the published checkpoints ([`CHECKPOINT_NAMES`]
    gives the names in the module):

    | in a checkpoint | published |
    |---|---|
    | `queries.weight` | `latents` (without the leading 1) |
    | `in_proj`, `out_proj`, `norm` | `proj_in`, `proj_out`, `norm_out` |
    | `layers.N.attention.context_norm`, `.query_norm` | `layers.N.0.norm1`, `.norm2` |
    | `layers.N.attention.q_proj`, `.o_proj` | `layers.N.0.to_q`, `.to_out` |
    | `layers.N.attention.k_proj`, `.v_proj` | the first and second half of `layers.N.0.to_kv` |
    | `layers.N.mlp.norm`, `.up_proj`, `.down_proj` | `layers.N.1.0`, `.1.1`, `.1.3` |
    | `layer_mix.logits`, if layers are mixed | |

    Args:
        config ([`CoMemConfig`]): `num_memory_tokens` and `resampler_config` decide the shapes.
    """

    def __init__(self, config: CoMemConfig):
        super().__init__()
        sizes = config.resampler_config
        hidden_size = config.hidden_size
        self.num_passes = sizes["num_hidden_layers"]
        self.layer_mix = CoMemLayerMix(len(config.mixed_layers)) if config.mixed_layers else None
        # The queries are in a module because PEFT, FSDP and initialisation overlook bare parameters.
        self.queries = nn.Embedding(config.num_memory_tokens, hidden_size)
        self.project_in = Projection(hidden_size, hidden_size)
        self.layers = nn.ModuleList(
            CoMemResamplerLayer(hidden_size, sizes["num_attention_heads"], sizes["head_dim"], sizes["ff_mult"])
            for _ in range(1 if sizes["share_layers"] else self.num_passes)
        )
        self.project_out = Projection(hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)

    @torch.no_grad()
    def start(self, size: float):
        """Set the weights from which training starts: vectors of the right size, and sharp attention.

        Nearly uniform attention gives all items nearly the same vectors, and training on a frozen backbone then makes
        them equal.

        Args:
            size (`float`): Root mean square of new memory vectors.
        """
        self.norm.weight.fill_(size)
        for layer in self.layers:
            for projection in (layer.attention.to_query, layer.attention.to_key):
                # On normalised states, q . k / sqrt(head_dim) has a standard deviation of hidden * std ** 2.
                projection.weight.normal_(std=(SHARPNESS / projection.in_features) ** 0.5)

    def forward(
        self, hidden_states: torch.Tensor | Sequence[torch.Tensor], attention_mask: torch.Tensor
    ) -> torch.Tensor:
        """Turn hidden states into memory vectors.

        Args:
            hidden_states (`torch.Tensor` of shape `(items, length, hidden)`): The encoder's last hidden states; where
                layers are mixed, a sequence of such tensors, one for each of [`CoMemConfig.mixed_layers`].
            attention_mask (`torch.Tensor` of shape `(items, length)`): 0 at padding.

        Returns:
            `torch.Tensor` of shape `(items, memory tokens, hidden)`.
        """
        if self.layer_mix is not None:
            hidden_states = self.layer_mix(hidden_states)
        queries = self.queries.weight.expand(hidden_states.shape[0], -1, -1)
        mask = F.pad(attention_mask.bool(), (0, queries.shape[1]), value=True)[:, None, None, :]
        context = self.project_in(hidden_states)
        for index in range(self.num_passes):
            layer = self.layers[index % len(self.layers)]
            if index < len(self.layers):  # the item is the same in all passes: a shared layer reads it once
                item = layer.attention.read(context)
            queries = layer(queries, item, mask)
        return self.norm(self.project_out(queries))


__all__ = ["CHECKPOINT_NAMES", "CoMemResampler", "Projection", "root_mean_square"]
