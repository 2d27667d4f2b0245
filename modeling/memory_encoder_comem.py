"""The memory encoder, which turns items into memory vectors."""

import copy

import torch
from torch import nn
from transformers import PreTrainedModel

from .adapter_comem import add_lora, place_lora, share_weights
from .configuration_comem import CoMemConfig
from .memory_inputs import MemoryInputs
from .placement_comem import execution_device, is_quantized
from .resampler_comem import CoMemResampler


class CoMemMemoryEncoder(nn.Module):
    """A second path through the backbone that ends in a resampler instead of a language-model head.

    Args:
        config ([`CoMemConfig`]): `encoder="adapter"` shares the backbone's weights and adds LoRA layers;
            `encoder="separate"` starts from a copy of them.
        backbone ([`~transformers.PreTrainedModel`]): The frozen vision-language model.
    """

    def __init__(self, config: CoMemConfig, backbone: PreTrainedModel):
        super().__init__()
        self.image_token_id = config.backbone_config.image_token_id
        self.video_token_id = config.backbone_config.video_token_id
        if config.encoder == "adapter":
            self.model = share_weights(backbone.model)
            for flag in ("is_loaded_in_4bit", "is_loaded_in_8bit"):  # by these PEFT chooses the class of its layers
                setattr(self.model, flag, getattr(backbone, flag, False))
            add_lora(self.model, config)
        else:
            self.model = _own_model(backbone)
        self.resampler = CoMemResampler(config)

    def place(self, backbone: PreTrainedModel):
        """Move adapter and resampler to where the backbone computes, in the backbone's floating-point type.

        `to` would also move the weights of a backbone that is spread over devices, and round its rotary frequencies.
        """
        place_lora(self.model, backbone.dtype)
        self.resampler.to(device=execution_device(backbone.get_input_embeddings()), dtype=backbone.dtype)

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
        if self._is_checkpointing():
            # Reentrant checkpointing computes no gradient for a block if none of its inputs requires one.
            inputs_embeds = inputs_embeds if inputs_embeds.requires_grad else inputs_embeds.requires_grad_()
            pixel_values = None if pixel_values is None else pixel_values.detach().requires_grad_()
        hidden_states = self.model(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            pixel_values=pixel_values,
            image_grid_thw=image_grid_thw,
            mm_token_type_ids=token_types,
            use_cache=False,
        ).last_hidden_state
        # If a model is spread over devices, its last layer may be on another one.
        device = self.resampler.queries.weight.device
        return self.resampler(hidden_states.to(device), attention_mask.to(device))

    def _is_checkpointing(self) -> bool:
        if not (self.training and torch.is_grad_enabled()):
            return False
        # The name of the model's own property for this differs between versions of transformers.
        return any(getattr(module, "gradient_checkpointing", False) for module in self.model.modules())


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
