"""The memory encoder, which turns items into memory vectors."""

import copy
from collections.abc import Callable

import torch
from torch import nn
from transformers import PreTrainedModel

from .adapter_comem import CoMemAdapter, add_terms, is_up_to, share_weights, target_layers
from .configuration_comem import CoMemConfig
from .key_names_comem import to_checkpoint_keys
from .mean_pooling_comem import CoMemMeanPooling
from .memory_inputs import MemoryInputs
from .placement_comem import execution_device, fetch_offloaded, is_quantized, place_module
from .resampler_comem import CoMemResampler
from .sharded_weights_comem import gather_on_this_way, is_sharded
from .weights_sample_comem import WeightsSample


class CoMemMemoryEncoder(nn.Module):
    """A second way through the backbone that ends in a resampler instead of a language-model head.

    Args:
        config ([`CoMemConfig`]): `encoder="adapter"` shares the backbone's weights and adds an adapter;
            `encoder="separate"` starts from a copy of them.
        backbone ([`~transformers.PreTrainedModel`]): The frozen vision-language model.
    """

    model: PreTrainedModel
    """Text model and vision tower of the encoder. With `encoder="adapter"` it is no submodule: its leaf modules are
    the backbone's."""

    def __init__(self, config: CoMemConfig, backbone: PreTrainedModel):
        super().__init__()
        self.image_token_id = config.backbone_config.image_token_id
        self.video_token_id = config.backbone_config.video_token_id
        self.shares_weights = config.encoder == "adapter" or config.num_memory_tokens == 0
        if self.shares_weights:
            layers = target_layers(backbone.model, config.lora_config["target_modules"])
            layers = layers_up_to(config.deepest_layer, layers) if config.num_memory_tokens else {}
            self.adapter = CoMemAdapter(layers, config.lora_config)
            shared = share_weights(backbone.model)
            stop_after(config.deepest_layer, shared.language_model)
            add_terms(shared, self.adapter)
            gather_on_this_way(shared.language_model.layers, backbone.model.language_model.layers)
            gather_on_this_way(shared.visual.blocks, backbone.model.visual.blocks)
            object.__setattr__(self, "model", shared)  # past nn.Module, which would register a submodule
        else:
            self.model = _own_model(backbone)
            stop_after(config.deepest_layer, self.model.language_model)
        # Without memory tokens there are no items to read: the encoder has no tensors of its own.
        resampler = CoMemMeanPooling if config.resampler_config["kind"] == "mean" else CoMemResampler
        self.resampler = resampler(config) if config.num_memory_tokens else None
        self.mixed_layers = config.mixed_layers
        self._seen: WeightsSample | None = None

    def place(self, backbone: PreTrainedModel):
        """Move adapter and resampler to where the backbone computes, in the backbone's floating-point type.

        `to` would also move the weights of a backbone that is spread over devices, and round its rotary frequencies.
        """
        if self.shares_weights:
            self.adapter.place(self.model, backbone.dtype)
        if self.resampler is not None:
            place_module(self.resampler, execution_device(backbone.get_input_embeddings()), backbone.dtype)

    def train(self, mode: bool = True) -> "CoMemMemoryEncoder":
        super().train(mode)
        self.model.train(mode)  # even if it is no submodule
        return self

    def tensors(self) -> dict[str, torch.Tensor | Callable[[], torch.Tensor]]:
        """Return all tensors that decide the memory vectors; in place of offloaded tensors, functions that fetch them.

        The names are those of a checkpoint with `encoder="separate"`, without `memory_encoder.`, and of the adapter.
        Below the adapter, weights of the backbone are called `base_layer.weight`.
        """
        shared = fetch_offloaded(self.model, dict(self.model.state_dict()))
        own = to_checkpoint_keys({f"memory_encoder.{name}": tensor for name, tensor in self.state_dict().items()})
        own = {name.removeprefix("memory_encoder."): tensor for name, tensor in own.items()}
        return {f"model.{name}": tensor for name, tensor in shared.items()} | own

    def sample(self) -> WeightsSample:
        """Look at the weights that decide the memory vectors, except quantized and offloaded ones."""
        return WeightsSample.of([*self.model.parameters(), *self.parameters()])

    def check_weights(self):
        """Raise a `ValueError` if an adapter was merged into weights that the encoder shares, or put on its own.

        Weights that were loaded, trained or cast since the last check are as they should be.
        """
        if self.resampler is None:
            return
        if not self.shares_weights:
            adapted = [name for name, module in self.model.named_modules() if hasattr(module, "base_layer")]
            if adapted:
                raise ValueError(
                    f"A PEFT adapter is on the memory encoder, too, such as on {adapted[0]!r}, and would change its "
                    "vectors; give names on the backbone alone, such as `target_modules=r'backbone.*q_proj'`."
                )
            return
        if torch.compiler.is_compiling() or is_sharded(self):  # no adapter is merged into parts of weights
            return
        is_step = self.training and torch.is_grad_enabled() and any(value.requires_grad for value in self.parameters())
        if is_step and self._seen is not None and not any(value.requires_grad for value in self.model.parameters()):
            return  # what is trained may change in any way; the rest is frozen, and was looked at before
        before = self._seen
        self.note_weights()
        # PEFT freezes all other weights when it puts an adapter on a model, and they stay so when it is merged.
        # Weights that are being trained may change in any way.
        is_frozen = not any(tensor.requires_grad for tensor in (*self.parameters(), *self.model.parameters()))
        if before is not None and is_frozen and self._seen.was_changed_unseen(before):
            self._seen = before
            raise ValueError(
                "The backbone's weights were changed in place, as PEFT's `merge_and_unload` and `merge_adapter` do "
                "it, and the memory encoder shares them: its vectors would be others. Load the model again and merge "
                "with `model.adopt_reader_adapter()`, or leave the adapter unmerged."
            )

    def note_weights(self):
        """Take the present weights for right in the next check."""
        if self.shares_weights and not any(parameter.is_meta for parameter in self.parameters()):
            self._seen = WeightsSample.of(self.model.parameters())

    def forward(self, items: MemoryInputs) -> torch.Tensor:
        """Turn items into memory vectors.

        Args:
            items ([`MemoryInputs`]): Raw items, all encoded in one batch.

        Returns:
            `torch.Tensor` of shape `(items, memory tokens, hidden)`.
        """
        input_ids, attention_mask = items["input_ids"], items["attention_mask"]
        image_grid_thw = items.get("image_grid_thw")
        pixel_values = items.get("pixel_values")
        token_types = items.get("mm_token_type_ids")
        if token_types is None:
            token_types = mm_token_types(input_ids, self.image_token_id, self.video_token_id)
        # Passed explicitly, because otherwise the model would keep `rope_deltas` from one call to the next.
        position_ids, _ = self.model.get_rope_index(
            input_ids, token_types, image_grid_thw=image_grid_thw, attention_mask=attention_mask
        )
        inputs_embeds = self.model.get_input_embeddings()(input_ids)
        output = self.model(
            input_ids=input_ids,
            inputs_embeds=self.for_checkpointing(inputs_embeds),
            attention_mask=attention_mask,
            position_ids=position_ids,
            pixel_values=self.for_checkpointing(pixel_values),
            image_grid_thw=image_grid_thw,
            mm_token_type_ids=token_types,
            use_cache=False,
            **({"output_hidden_states": True} if self.mixed_layers else {}),
        )
        # If a model is spread over devices, its last layer may be on another one.
        device = execution_device(self.resampler.norm)
        if self.mixed_layers:
            states = [output.hidden_states[number].to(device) for number in self.mixed_layers]
        else:
            states = output.last_hidden_state.to(device)
        return self.resampler(states, attention_mask.to(device))

    def for_checkpointing(self, tensor: torch.Tensor | None) -> torch.Tensor | None:
        """Return an input of the encoder so that gradients are computed for its blocks when these are recomputed.

        Reentrant checkpointing computes no gradient for a block if none of its inputs requires one.
        """
        if tensor is None or tensor.requires_grad or not self._is_checkpointing():
            return tensor
        return tensor.detach().requires_grad_()

    def _is_checkpointing(self) -> bool:
        if not (self.training and torch.is_grad_enabled()):
            return False
        # The name of the model's own property for this differs between versions of transformers.
        return any(getattr(module, "gradient_checkpointing", False) for module in self.model.modules())


def layers_up_to(depth: int, layers: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Leave out the linear layers of a backbone's `.model` that belong to layers of its text model above `depth`.

    Raises:
        ValueError: If none is left.
    """
    kept = {name: layer for name, layer in layers.items() if is_up_to(depth, name)}
    if not kept:
        raise ValueError(
            f"`target_modules` names only layers above {depth}, the deepest of `resampler_config['hidden_layers']`, "
            f"such as {next(iter(layers), None)!r}; name layers that the memory encoder has."
        )
    return kept


def stop_after(depth: int, text_model: nn.Module):
    """Leave out a text model's layers above `depth`, whose output nobody reads, and the norm that follows the last."""
    if depth < len(text_model.layers):
        text_model.layers = text_model.layers[:depth]
        text_model.norm = nn.Identity()


def _own_model(backbone: PreTrainedModel) -> PreTrainedModel:
    if not any(is_quantized(module) or hasattr(module, "_hf_hook") for module in backbone.modules()):
        return copy.deepcopy(backbone.model)
    # An encoder's own full weights are never quantized or spread over devices, even if the backbone is.
    config = copy.deepcopy(backbone.config)
    config.__dict__.pop("quantization_config", None)
    with torch.device(execution_device(backbone.get_input_embeddings())):
        return type(backbone.model)._from_config(config, dtype=backbone.dtype)


def mm_token_types(input_ids: torch.Tensor, image_token_id: int, video_token_id: int) -> torch.Tensor:
    """Return which tokens stand for text (0), images (1) and videos (2), in the shape of `input_ids`."""
    return (input_ids == image_token_id).int() + 2 * (input_ids == video_token_id).int()


__all__ = ["CoMemMemoryEncoder", "mm_token_types"]
