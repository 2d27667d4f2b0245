"""A prompt with memory in front of it."""

from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from transformers import PreTrainedModel

from .configuration_comem import CoMemConfig
from .ffn_memory_comem import CoMemFfnMemory, FfnMemory
from .memory_encoder_comem import CoMemMemoryEncoder, mm_token_types
from .memory_inputs import as_memory_inputs, pad_items
from .query_pictures_comem import KeptPositions
from .sharded_weights_comem import is_sharded
from .stand_ins_comem import CoMemStandInsMixin, stand_in_picture, with_graph_of, with_stand_in_item
from .vision_memory_comem import CoMemVisionMemory


IGNORE_INDEX = -100  # of labels


@dataclass
class PromptWithMemory:
    """Input of the backbone: memory vectors, then the prompt with its pictures, and memory for the layers.

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
    """Positions of the prompt alone, padding included, as the caller gave it."""
    vision_outputs: dict[str, Any]
    """What the vision tower gave for the prompt's own pictures and videos, by the names that the backbone uses."""
    ffn_memory: FfnMemory | None = None
    """Memory for the feed-forward layers."""
    kept: KeptPositions | None = None
    """Positions of the prompt that are in the sequence; `None` if all are."""
    alignment_loss: torch.Tensor | None = None
    """The alignment loss of memory in the vision tower, in training."""

    @property
    def num_kept(self) -> int:
        """Positions of the prompt in the sequence."""
        return self.prompt_length if self.kept is None else self.kept.index.shape[1]

    def labels_in_sequence(self, labels: torch.Tensor | None) -> torch.Tensor | None:
        """Return the labels of the prompt's positions in the sequence."""
        if labels is None or self.kept is None:
            return labels
        return self.kept.take(labels).masked_fill(~self.kept.mask, IGNORE_INDEX)

    def logits_in_sequence(self, logits_to_keep: int | torch.Tensor) -> int | torch.Tensor:
        """Convert `logits_to_keep` from positions in the prompt to positions in memory and prompt together."""
        if self.kept is not None:
            return self.num_kept
        if isinstance(logits_to_keep, torch.Tensor):
            length = self.inputs_embeds.shape[1]
            return torch.where(logits_to_keep < 0, logits_to_keep, logits_to_keep + length - self.prompt_length)
        return min(logits_to_keep, self.prompt_length) if logits_to_keep else self.prompt_length

    def logits_of_prompt(self, logits: torch.Tensor, logits_to_keep: int | torch.Tensor) -> torch.Tensor:
        """Return logits at the positions of the prompt that the caller asked for (see [`KeptPositions`])."""
        if self.kept is None:
            return logits
        logits = self.kept.put_back(logits)
        if isinstance(logits_to_keep, torch.Tensor):
            return logits[:, logits_to_keep]
        return logits[:, -logits_to_keep:] if logits_to_keep else logits

    def states_of_prompt(self, states: torch.Tensor) -> torch.Tensor:
        """Return hidden states `(batch, memory + prompt, hidden)` at the positions of the prompt."""
        states = states[:, states.shape[1] - self.num_kept :]
        return states if self.kept is None else self.kept.put_back(states)

    def add_vision_outputs(self, output):
        """Put the vision tower's outputs among those of the backbone, which has read embeddings alone.

        Args:
            output ([`~transformers.utils.ModelOutput`]): The backbone's output; before transformers 5.24 it has no
                place for them.
        """
        for name, value in self.vision_outputs.items():
            if name in getattr(output, "__dataclass_fields__", ()):
                setattr(output, name, value)


class CoMemPromptMixin(CoMemStandInsMixin):
    """The methods of the model that embed a prompt and its pictures and put memory where it belongs."""

    # Attributes that the model has.
    config: CoMemConfig
    device: torch.device
    backbone: PreTrainedModel
    memory_encoder: CoMemMemoryEncoder
    ffn_memory: CoMemFfnMemory | None
    vision_memory: CoMemVisionMemory | None

    def _is_changed_by_sites(
        self, pixel_values: torch.Tensor | None, pixel_values_videos: torch.Tensor | None
    ) -> bool:
        """Whether a prompt without memory items is not read as the backbone alone reads it."""
        has_pictures = pixel_values is not None or pixel_values_videos is not None
        return self.config.ffn_source == "vision" or (self.vision_memory is not None and has_pictures)

    def _prepend_memory(
        self,
        memory_inputs,
        input_ids: torch.LongTensor | None,
        *,
        inputs_embeds: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        mm_token_type_ids: torch.IntTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        image_grid_thw: torch.LongTensor | None = None,
        video_grid_thw: torch.LongTensor | None = None,
        second_per_grid_ts: torch.Tensor | None = None,
        **vision_kwargs,
    ) -> PromptWithMemory:
        self.config.check_per_call_fields()
        self._refuse_layers_without_memory()
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        else:
            input_ids = self._placeholder_ids(inputs_embeds)
        memory, memory_mask = self._memory_vectors(memory_inputs, len(inputs_embeds))
        attention_mask = mask_of_prompt(attention_mask, input_ids)
        backbone_config = self.config.backbone_config
        if mm_token_type_ids is None:
            mm_token_type_ids = mm_token_types(
                input_ids, backbone_config.image_token_id, backbone_config.video_token_id
            )
        prompt_length = input_ids.shape[1]
        inputs_embeds, features, vision_outputs, alignment_loss = self._see_pictures(
            input_ids,
            inputs_embeds,
            (attention_mask != 0) & (mm_token_type_ids == 0),
            labels,
            {"image": (pixel_values, image_grid_thw), "video": (pixel_values_videos, video_grid_thw)},
            **vision_kwargs,
        )

        kept = ffn_memory = None
        # In the prompt's type at once: else each layer would convert it, at each step.
        if self.config.ffn_source == "vision":
            ffn_memory = self.ffn_memory(*features).to(inputs_embeds)
            kept, image_grid_thw = KeptPositions.of(input_ids, backbone_config), None
        elif self.config.ffn_source == "memory" and memory_inputs is not None:
            ffn_memory = self.ffn_memory(memory, memory_mask).to(inputs_embeds)
            memory, memory_mask = memory[:, :0], memory_mask[:, :0]
        if kept is not None:
            input_ids, inputs_embeds, mm_token_type_ids = map(kept.take, (input_ids, inputs_embeds, mm_token_type_ids))
            attention_mask = kept.take(attention_mask) * kept.mask.to(attention_mask.dtype)

        # Placeholder ids stand for the memory, so that the backbone's own method finds positions.
        placeholders = input_ids.new_full(memory.shape[:2], self.config.memory_token_id)
        token_types = mm_token_type_ids.new_zeros(memory.shape[:2])
        attention_mask = torch.cat([memory_mask.to(attention_mask.dtype), attention_mask], dim=1)
        video = {} if second_per_grid_ts is None else {"second_per_grid_ts": second_per_grid_ts}
        position_ids, _ = self.backbone.model.get_rope_index(
            torch.cat([placeholders, input_ids], dim=1),
            torch.cat([token_types, mm_token_type_ids], dim=1),
            image_grid_thw=image_grid_thw,
            video_grid_thw=video_grid_thw,
            attention_mask=attention_mask,
            **video,
        )
        return PromptWithMemory(
            torch.cat([memory.to(inputs_embeds.dtype), inputs_embeds], dim=1),
            attention_mask,
            position_ids,
            memory_mask.sum(dim=1, keepdim=True),
            prompt_length,
            vision_outputs,
            ffn_memory,
            kept,
            alignment_loss,
        )

    def _see_pictures(
        self,
        input_ids: torch.LongTensor,
        inputs_embeds: torch.Tensor,
        is_text: torch.Tensor,
        labels: torch.LongTensor | None,
        pictures: dict[str, tuple[torch.Tensor | None, torch.LongTensor | None]],
        **vision_kwargs,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], dict[str, Any], torch.Tensor | None]:
        """Run the vision tower for the images and videos of prompts.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): The prompts.
            inputs_embeds (`torch.Tensor` of shape `(batch, length, hidden)`): Their embeddings.
            is_text (`torch.Tensor` of shape `(batch, length)`): True at text.
            labels (`torch.LongTensor` of shape `(batch, length)`, *optional*): -100 at what is no answer.
            pictures (`dict`): By `"image"` and `"video"`, pixels and grids.
            **vision_kwargs: For the vision tower.

        Returns:
            `tuple`: The embeddings with all features in place that stay in the sequence; the features of images that
            leave it, `(batch, most, hidden)`, and their mask; the tower's outputs; the alignment loss.
        """
        by_encoder = self.config.query_vision == "encoder"
        vision_model = self.memory_encoder.model if by_encoder else self.backbone.model
        leaving = inputs_embeds[:, :0], is_text[:, :0]
        outputs, vectors, rows = {}, [], []
        if pictures["image"][0] is None and is_sharded(self):
            unseen = vision_model.get_image_features(*stand_in_picture(self.config.backbone_config, self.device))
            inputs_embeds = with_graph_of(inputs_embeds, unseen.pooler_output)
        for kind, (pixels, grid) in pictures.items():
            if pixels is None:
                continue
            is_kind = input_ids == getattr(self.config.backbone_config, f"{kind}_token_id")
            sites = self._vision_sites(inputs_embeds, is_text, labels, is_kind, grid)
            if by_encoder:
                pixels = self.memory_encoder.for_checkpointing(pixels)
            get_features = getattr(vision_model, f"get_{kind}_features")
            output = get_features(pixels, grid, **vision_kwargs, **sites)
            outputs[f"{kind}_outputs"], features = output, torch.cat(output.pooler_output)
            where = vision_model.get_placeholder_mask(input_ids, inputs_embeds, **{f"{kind}_features": features})
            where = where[0 if kind == "image" else 1]
            if kind == "image" and self.config.ffn_source == "vision":
                features, mask = pad_items(features[:, None], is_kind.sum(dim=1))
                leaving = features[:, :, 0], mask
            else:
                inputs_embeds = inputs_embeds.masked_scatter(where, features.to(inputs_embeds.dtype))
            if self.vision_memory is not None:
                vectors.append(sites["vision_sites"].memory.finish())
                rows.append(sites["vision_sites"].memory.sample_of_image)
        alignment_loss = self._alignment_loss(vectors, rows, inputs_embeds, is_text, labels)
        return inputs_embeds, leaving, outputs, alignment_loss

    def _placeholder_ids(self, inputs_embeds: torch.Tensor) -> torch.LongTensor:
        """Return ids for an embedded prompt that show only where its pictures belong, and what stands around them."""
        config = self.config.backbone_config
        image, video = self.backbone.model.get_placeholder_mask(None, inputs_embeds)
        ids = torch.full(inputs_embeds.shape[:2], self.config.memory_token_id, device=inputs_embeds.device)
        ids = ids.masked_fill(image[..., 0], config.image_token_id).masked_fill(video[..., 0], config.video_token_id)
        for token in (config.vision_start_token_id, config.vision_end_token_id):
            row = self.get_input_embeddings()(torch.tensor(token, device=inputs_embeds.device))
            ids = ids.masked_fill((inputs_embeds == row).all(dim=-1), token)
        return ids

    def _refuse_items_without_encoder(self):
        if self.config.num_memory_tokens == 0:
            raise ValueError(
                "This model has no memory encoder, as its `num_memory_tokens` is 0: it takes no `memory_inputs`; "
                "leave them out, or write the items into the prompt."
            )

    def _memory_vectors(self, memory_inputs, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return memory vectors `(batch, memory, hidden)` in the configured order, and their mask."""
        if memory_inputs is None:
            none = torch.zeros(batch_size, 0, self.config.hidden_size, device=self.device, dtype=self.dtype)
            return none, none[..., 0].bool()
        self._refuse_items_without_encoder()
        memory = as_memory_inputs(memory_inputs, batch_size, self.config)
        unused = None
        if self._needs_stand_in_item():
            items = None if memory.is_stored else memory
            vectors = self.encode_memory(with_stand_in_item(items, self.config.backbone_config, self.device))
            vectors, unused = vectors[:-1], vectors[-1:]
            if items is not None and items.get("item_index") is not None:
                vectors = vectors[items["item_index"].to(vectors.device)]
        elif not memory.is_stored:
            vectors = self.encode_memory(memory)
        if memory.is_stored:
            embeds, mask = memory["memory_embeds"].to(self.device), memory["item_mask"].to(self.device)
        else:
            embeds, mask = pad_items(vectors, memory["item_counts"])
        mask = mask[..., None].expand(embeds.shape[:3])
        if "num_memory_tokens" in memory:
            counts = memory["num_memory_tokens"].to(self.device)
            embeds = embeds[:, :, : int(counts.max())]
            of_row = torch.arange(embeds.shape[2], device=self.device) < counts[:, None]
            mask = mask[:, :, : embeds.shape[2]] & of_row[:, None]
        if unused is not None:
            embeds = with_graph_of(embeds, [unused])
        if self.config.memory_order == "reversed":
            embeds, mask = embeds.flip(1), mask.flip(1)
        return embeds.flatten(1, 2), mask.flatten(1, 2)


def mask_of_prompt(attention_mask: torch.Tensor | None, input_ids: torch.LongTensor) -> torch.Tensor:
    """Return the mask of prompts, 1 everywhere if none is given; raise a `ValueError` if it has another shape."""
    if attention_mask is None:
        return torch.ones_like(input_ids)
    if attention_mask.ndim != 2:
        raise ValueError(
            f"`attention_mask` must have shape (batch, length) with memory, got {tuple(attention_mask.shape)}."
        )
    return attention_mask


def without_unknown_seconds(arguments: dict[str, Any], backbone: PreTrainedModel) -> dict[str, Any]:
    """Leave `second_per_grid_ts` out if the backbone does not know it: Qwen2-VL counts frames, Qwen2.5-VL seconds."""
    if "second_per_grid_ts" in arguments and "second_per_grid_ts" not in signature(backbone.forward).parameters:
        return {name: value for name, value in arguments.items() if name != "second_per_grid_ts"}
    return arguments


__all__ = ["CoMemPromptMixin", "PromptWithMemory", "mask_of_prompt", "without_unknown_seconds"]
