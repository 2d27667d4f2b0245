"""Memory in the feed-forward layers: learned slots, filled with visual features, beside each layer's own (MemVP)."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLDecoderLayer
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLDecoderLayer

from .composition_comem import compose, restore
from .resampler_comem import Projection


POSITION_STD = 0.02  # of new key positions


class FfnMemory(NamedTuple):
    """The memory of one call. The text model hands it to all its layers as their keyword argument `ffn_memory`.

    It is a tuple so that what walks through the arguments of layers (accelerate, FSDP) finds the tensors in it.
    """

    keys: torch.Tensor
    """`(batch, slots, hidden)`"""
    values: torch.Tensor
    """`(batch, slots, hidden)`"""
    scale: float
    """Factor of what memory adds."""
    dropout: float
    """Probability with which a slot is left out of a position in training."""

    def to(self, states: torch.Tensor) -> "FfnMemory":
        """Return the memory with keys and values on the device and in the dtype of `states`."""
        return FfnMemory(self.keys.to(states), self.values.to(states), self.scale, self.dropout)

    def __call__(self, states: torch.Tensor, training: bool) -> torch.Tensor:
        """Compute what memory adds to the output of a feed-forward layer, `scale * dropout(SiLU(u K^T)) V`.

        Args:
            states (`torch.Tensor` of shape `(batch, length, hidden)`): The input `u` of the feed-forward layer, after
                its normalisation.
            training (`bool`): Whether to drop slots.

        Returns:
            `torch.Tensor` of shape `(batch, length, hidden)`.
        """
        activations = F.silu(states @ self.keys.to(states).transpose(1, 2))
        return self.scale * (F.dropout(activations, self.dropout, training) @ self.values.to(states))


class CoMemFfnMemory(nn.Module):
    """Makes keys and values of visual features, the same for all layers, as MemVP does (arXiv:2405.05615).

    With the features `f` of a picture, `K = Z + P_k` and `V = Z + P_v`, where `Z = value_scale * projector(f)`,
    followed by zeros up to the number of slots. `P_k` and `P_v` are learned and act without a picture, too.

    Args:
        config (`dict`): `ffn_memory_config` of a [`CoMemConfig`], with all its keys.
        feature_size (`int`): Size of a feature.
        hidden_size (`int`): Size of the hidden states that enter the feed-forward layers.
        tower (`tuple[int, int]`, *optional*): Depth and width of the vision tower that gets adapters.
    """

    vision_adapters: nn.ModuleList | None
    """An adapter for each block of the vision tower."""

    def __init__(
        self, config: dict[str, Any], feature_size: int, hidden_size: int, tower: tuple[int, int] | None = None
    ):
        super().__init__()
        self.settings = config  # the model's own dictionary: its scales and dropout may change
        self.num_slots = config["num_slots"]
        # In modules, because PEFT, FSDP and initialisation overlook bare parameters.
        self.key_positions = nn.Embedding(self.num_slots, hidden_size)
        self.value_positions = nn.Embedding(self.num_slots, hidden_size)
        self.projector = nn.Sequential(
            Projection(feature_size, config["projector_hidden"]),
            nn.SiLU(),
            Projection(config["projector_hidden"], hidden_size),
        )
        self.vision_adapters = None
        if tower is not None and config["vision_adapter_rank"] > 0:
            depth, width = tower
            self.vision_adapters = nn.ModuleList(CoMemVisionAdapter(config, width) for _ in range(depth))
        self.start()

    @torch.no_grad()
    def start(self):
        """Set the weights from which the paper's training starts: `V` is `Z`, and `K` nearly so."""
        self.key_positions.weight.normal_(std=POSITION_STD)
        self.value_positions.weight.zero_()
        for projection in (self.projector[0], self.projector[2]):
            nn.init.xavier_uniform_(projection.weight)
            projection.bias.zero_()
        for adapter in self.vision_adapters or ():
            adapter.start()

    def of_slots(self, keys: torch.Tensor, values: torch.Tensor) -> FfnMemory:
        """Return the memory of keys and values that `forward` has computed before."""
        return FfnMemory(keys, values, self.settings["scale"], self.settings["dropout"])

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> FfnMemory:
        """Compute keys and values, once for all layers of a call.

        Args:
            features (`torch.Tensor` of shape `(batch, length, feature_size)`): Features of the pictures of each row.
                The length may be 0.
            mask (`torch.Tensor` of shape `(batch, length)`): False at padding, whose slots are as without a picture.

        Returns:
            [`FfnMemory`]

        Raises:
            ValueError: If there are more features than slots.
        """
        length = int(mask.sum(dim=1).max()) if mask.numel() else 0
        # Slots are filled from the first on, wherever the padding is: a row gets in a batch what it gets alone.
        order = (~mask).long().argsort(dim=1, stable=True)[:, :length]
        features, mask = features.take_along_dim(order[..., None].to(features.device), dim=1), mask.gather(1, order)
        if length > self.num_slots:
            what, fewer = "pictures of a prompt have", "fewer or smaller pictures"
            if self.settings["source"] == "memory":
                what, fewer = "items of a prompt have", "fewer items"
            raise ValueError(
                f"The {what} {length} vectors for the feed-forward memory, but `ffn_memory_config['num_slots']` is "
                f"{self.num_slots}; give {fewer}, or make a model with more slots."
            )
        filled = self.settings["value_scale"] * self.projector(features.to(self.key_positions.weight))
        filled = filled.masked_fill(~mask[..., None].to(filled.device), 0)  # of the projector's biases, too
        filled = F.pad(filled, (0, 0, 0, self.num_slots - length))
        keys, values = filled + self.key_positions.weight, filled + self.value_positions.weight
        return self.of_slots(keys, values)


class CoMemVisionAdapter(nn.Module):
    """The adapter beside the feed-forward layer of a vision block: `scale * up(dropout(GELU(down(u))))` (MemVP).

    Args:
        config (`dict`): `ffn_memory_config` of a [`CoMemConfig`], with all its keys.
        hidden_size (`int`): Width of the vision block.
    """

    def __init__(self, config: dict[str, Any], hidden_size: int):
        super().__init__()
        self.settings = config
        self.down = Projection(hidden_size, config["vision_adapter_rank"], bias=False)
        self.up = Projection(config["vision_adapter_rank"], hidden_size, bias=False)
        self.start()

    @torch.no_grad()
    def start(self):
        """Set the weights from which training starts: the adapter adds nothing."""
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)  # as in a new `torch.nn.Linear`
        self.up.weight.zero_()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Compute what the adapter adds to the output of the block's feed-forward layer.

        Args:
            states (`torch.Tensor` of shape `(..., hidden)`): The input of that layer, after its normalisation.

        Returns:
            `torch.Tensor` of the same shape.
        """
        inner = F.gelu(self.down(states.to(self.down.weight.dtype)))
        inner = F.dropout(inner, self.settings["dropout"], self.training)
        return self.settings["vision_adapter_scale"] * self.up(inner).to(states.dtype)


class FfnMemoryLayerMixin:
    """Memory beside the feed-forward layer, for a subclass of a backbone's decoder layer.

    The layer must be a pre-norm one: `h = x + self_attn(input_layernorm(x))`, then
    `h + mlp(post_attention_layernorm(h))`. Memory comes with each call and is nowhere kept, so a layer that is
    computed again in the backward pass, and one that two threads use, reads the memory of its own call.
    """

    def forward(
        self, hidden_states: torch.Tensor, *, ffn_memory: FfnMemory | None = None, **kwargs
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Compute the layer as the backbone does, and add memory if there is any.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch, length, hidden)`): The layer's input.
            ffn_memory ([`FfnMemory`], *optional*): Keys and values of the memory.
            kwargs: What the text model gives its layers; attention reads it.
        """
        if ffn_memory is None:
            return super().forward(hidden_states, **kwargs)
        states = hidden_states + self.self_attn(hidden_states=self.input_layernorm(hidden_states), **kwargs)[0]
        normed = self.post_attention_layernorm(states)
        return states + self.mlp(normed) + ffn_memory(normed, self.training)


class CoMemQwen2VLDecoderLayer(FfnMemoryLayerMixin, Qwen2VLDecoderLayer):
    """A layer of Qwen2-VL that reads memory beside its feed-forward layer."""


class CoMemQwen2_5_VLDecoderLayer(FfnMemoryLayerMixin, Qwen2_5_VLDecoderLayer):  # noqa: N801 (as in transformers)
    """A layer of Qwen2.5-VL that reads memory beside its feed-forward layer."""


LAYER_CLASSES = {
    Qwen2VLDecoderLayer: CoMemQwen2VLDecoderLayer,
    Qwen2_5_VLDecoderLayer: CoMemQwen2_5_VLDecoderLayer,
}
READ_BY_LAYERS = ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp")


def compose_layers(text_model: PreTrainedModel, classes: dict[type, type] = LAYER_CLASSES):
    """Make the decoder layers of a text model read `ffn_memory`; layers that do already stay.

    Their modules and weights are the same objects under the same names, and so are their hooks and settings.

    Args:
        text_model ([`~transformers.PreTrainedModel`]): A text model with `layers`.
        classes (`dict`, defaults to [`LAYER_CLASSES`]): The class with memory for each class of decoder layers.

    Raises:
        ValueError: If a layer is of another class, or not made as [`FfnMemoryLayerMixin`] expects.
    """
    compose(text_model.layers, classes, needed=READ_BY_LAYERS)


def restore_layers(text_model: PreTrainedModel, classes: dict[type, type] = LAYER_CLASSES):
    """Undo [`compose_layers`].

    Args:
        text_model ([`~transformers.PreTrainedModel`]): A text model with `layers`.
        classes (`dict`, defaults to [`LAYER_CLASSES`]): What [`compose_layers`] got.
    """
    restore(text_model.layers, classes)


__all__ = [
    "LAYER_CLASSES",
    "CoMemFfnMemory",
    "CoMemVisionAdapter",
    "FfnMemory",
    "FfnMemoryLayerMixin",
    "compose_layers",
    "restore_layers",
]
