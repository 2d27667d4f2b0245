"""A prompt with memory in front of it."""

from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from transformers import PreTrainedModel

from .configuration_comem import CoMemConfig
from .memory_encoder_comem import CoMemMemoryEncoder, mm_token_types
from .memory_inputs import as_memory_inputs, pad_items


@dataclass
class PromptWithMemory:
    """Input of the backbone's text model: memory vectors, then the prompt with its pictures.

    Rows with fewer items than the longest row have masked positions among the memory.
    """

    inputs_embeds: torch.Tensor
    """`(batch, memory + prompt, hidden)`"""
    attention_mask: torch.Tensor
    """`(batch, memory + prompt)`"""
    position_ids: torch.Tensor
    """`(3, batch, memory + prompt)`: memory takes 0 .. n-1 on all three axes, the prompt follows from n on."""
    memory_lengths: torch.Tensor
    """`(batch, 1)`: memory vectors of each row, without padding."""
    prompt_length: int
    """Positions of the prompt alone, padding included."""
    vision_outputs: dict[str, Any]
    """What the vision tower gave for the prompt's own pictures and videos, by the names that the backbone uses."""

    def add_vision_outputs(self, output):
        """Put the vision tower's outputs among those of the backbone, which has read embeddings alone.

        Args:
            output ([`~transformers.utils.ModelOutput`]): The backbone's output; before transformers 5.24 it has no
                place for them.
        """
        for name, value in self.vision_outputs.items():
            if name in getattr(output, "__dataclass_fields__", ()):
                setattr(output, name, value)


class CoMemPromptMixin:
    """The methods of the model that embed a prompt and its pictures and put memory vectors in front."""

    # Attributes that the model has.
    config: CoMemConfig
    device: torch.device
    backbone: PreTrainedModel
    memory_encoder: CoMemMemoryEncoder

    def _prepend_memory(
        self,
        memory_inputs,
        input_ids: torch.LongTensor | None,
        *,
        inputs_embeds: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        mm_token_type_ids: torch.IntTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        image_grid_thw: torch.LongTensor | None = None,
        video_grid_thw: torch.LongTensor | None = None,
        second_per_grid_ts: torch.Tensor | None = None,
        **vision_kwargs,
    ) -> PromptWithMemory:
        self.config.check_per_call_fields()
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        else:
            input_ids = self._placeholder_ids(inputs_embeds)
        memory, memory_mask = self._memory_prefix(memory_inputs, input_ids.shape[0])
        backbone_config = self.config.backbone_config
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if attention_mask.ndim != 2:
            raise ValueError(
                "`attention_mask` must have shape (batch, length) when `memory_inputs` are given, got "
                f"{tuple(attention_mask.shape)}."
            )
        if mm_token_type_ids is None:
            mm_token_type_ids = mm_token_types(
                input_ids, backbone_config.image_token_id, backbone_config.video_token_id
            )

        # Placeholder ids stand for the memory, so that the backbone's own methods find positions and pictures.
        placeholders = input_ids.new_full(memory.shape[:2], self.config.memory_token_id)
        token_types = mm_token_type_ids.new_zeros(memory.shape[:2])
        input_ids = torch.cat([placeholders, input_ids], dim=1)
        attention_mask = torch.cat([memory_mask.to(attention_mask.dtype), attention_mask], dim=1)
        video = {} if second_per_grid_ts is None else {"second_per_grid_ts": second_per_grid_ts}
        position_ids, _ = self.backbone.model.get_rope_index(
            input_ids,
            torch.cat([token_types, mm_token_type_ids], dim=1),
            image_grid_thw=image_grid_thw,
            video_grid_thw=video_grid_thw,
            attention_mask=attention_mask,
            **video,
        )

        inputs_embeds = torch.cat([memory.to(inputs_embeds.dtype), inputs_embeds], dim=1)
        vision_model = self.backbone.model
        if self.config.query_vision == "encoder":
            vision_model, encoder = self.memory_encoder.model, self.memory_encoder
            pixel_values, pixel_values_videos = map(encoder.for_checkpointing, (pixel_values, pixel_values_videos))
        vision_outputs = {}
        if pixel_values is not None:
            output = vision_model.get_image_features(pixel_values, image_grid_thw, **vision_kwargs)
            vision_outputs["image_outputs"], features = output, torch.cat(output.pooler_output)
            where, _ = vision_model.get_placeholder_mask(input_ids, inputs_embeds, image_features=features)
            inputs_embeds = inputs_embeds.masked_scatter(where, features.to(inputs_embeds.dtype))
        if pixel_values_videos is not None:
            output = vision_model.get_video_features(pixel_values_videos, video_grid_thw, **vision_kwargs)
            vision_outputs["video_outputs"], features = output, torch.cat(output.pooler_output)
            _, where = vision_model.get_placeholder_mask(input_ids, inputs_embeds, video_features=features)
            inputs_embeds = inputs_embeds.masked_scatter(where, features.to(inputs_embeds.dtype))
        memory_lengths, prompt_length = memory_mask.sum(dim=1, keepdim=True), input_ids.shape[1] - memory.shape[1]
        return PromptWithMemory(
            inputs_embeds, attention_mask, position_ids, memory_lengths, prompt_length, vision_outputs
        )

    def _placeholder_ids(self, inputs_embeds: torch.Tensor) -> torch.LongTensor:
        """Return ids for an embedded prompt that show only where its pictures belong."""
        config = self.config.backbone_config
        image, video = self.backbone.model.get_placeholder_mask(None, inputs_embeds)
        ids = torch.full(inputs_embeds.shape[:2], self.config.memory_token_id, device=inputs_embeds.device)
        return ids.masked_fill(image[..., 0], config.image_token_id).masked_fill(video[..., 0], config.video_token_id)

    def _memory_prefix(self, memory_inputs, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return memory vectors `(batch, memory, hidden)` in the configured order, and their mask."""
        memory = as_memory_inputs(memory_inputs, batch_size, self.config)
        if memory.is_stored:
            embeds, mask = memory["memory_embeds"].to(self.device), memory["item_mask"].to(self.device)
        else:
            embeds, mask = pad_items(self.encode_memory(memory), memory["item_counts"])
        if self.config.memory_order == "reversed":
            embeds, mask = embeds.flip(1), mask.flip(1)
        return embeds.flatten(1, 2), mask.repeat_interleave(self.config.num_memory_tokens, dim=1)


def without_unknown_seconds(arguments: dict[str, Any], backbone: PreTrainedModel) -> dict[str, Any]:
    """Leave `second_per_grid_ts` out if the backbone does not know it: Qwen2-VL counts frames, Qwen2.5-VL seconds."""
    if "second_per_grid_ts" in arguments and "second_per_grid_ts" not in signature(backbone.forward).parameters:
        return {name: value for name, value in arguments.items() if name != "second_per_grid_ts"}
    return arguments


def logits_of_prompt(logits_to_keep: int | torch.Tensor, prompt_length: int, length: int) -> int | torch.Tensor:
    """Convert `logits_to_keep` from positions in the prompt to positions in memory and prompt together."""
    if isinstance(logits_to_keep, torch.Tensor):
        return torch.where(logits_to_keep < 0, logits_to_keep, logits_to_keep + length - prompt_length)
    return min(logits_to_keep, prompt_length) if logits_to_keep else prompt_length


__all__ = ["CoMemPromptMixin", "PromptWithMemory", "logits_of_prompt", "without_unknown_seconds"]
