"""The arguments of the backbone's `forward` for those of the model's."""

from typing import Any

import torch
from transformers import PreTrainedModel

from .cache_name_comem import CACHE_NAME, given_cache, refuse_filled_cache
from .configuration_comem import CoMemConfig
from .ffn_memory_comem import CoMemFfnMemory
from .generation_comem import MemoryInCache
from .prompt_with_memory_comem import PromptWithMemory, without_unknown_seconds
from .reader_comem import CoMemReader


class CoMemBackboneInputsMixin:
    """The methods of the model that tell a prompt to be read from a text that goes on, and prepare either."""

    # Attributes that the model has.
    config: CoMemConfig
    backbone: PreTrainedModel
    ffn_memory: CoMemFfnMemory | None
    reader: CoMemReader | None

    def _inputs_of_backbone(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        cache=None,
        inputs_embeds: torch.Tensor | None = None,
        *,
        pixel_values: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        image_grid_thw: torch.LongTensor | None = None,
        video_grid_thw: torch.LongTensor | None = None,
        mm_token_type_ids: torch.IntTensor | None = None,
        memory_inputs=None,
        past_key_values=None,
        labels: torch.LongTensor | None = None,
        ffn_keys: torch.Tensor | None = None,
        ffn_values: torch.Tensor | None = None,
        **kwargs,
    ) -> tuple[dict[str, Any], PromptWithMemory | None]:
        """Return the backbone's arguments for those of `forward`, and the prompt if memory changes how it is read."""
        cache = given_cache(cache, past_key_values)
        kwargs = {**without_unknown_seconds(kwargs, self.backbone), CACHE_NAME: cache}
        text = {"input_ids": input_ids, "inputs_embeds": inputs_embeds, "attention_mask": attention_mask}
        vision = {
            "pixel_values": pixel_values,
            "pixel_values_videos": pixel_values_videos,
            "image_grid_thw": image_grid_thw,
            "video_grid_thw": video_grid_thw,
            "mm_token_type_ids": mm_token_type_ids,
        }
        if ffn_keys is not None:  # `generate` has read the prompt, and gives its memory with each token
            ffn_memory = self.ffn_memory.of_slots(ffn_keys, ffn_values)
            return {**text, "position_ids": position_ids, **vision, **kwargs, "ffn_memory": ffn_memory}, None
        if memory_inputs is None and (self.reader is not None or self._needs_stand_in_item()):
            memory_inputs = self._no_items(input_ids, cache, position_ids)
        by_sites = self._is_changed_by_sites(pixel_values, pixel_values_videos)
        goes_on = by_sites and cache is not None and cache.get_seq_length() > 0
        if memory_inputs is None and (goes_on or not by_sites):
            return self._inputs_that_go_on(text, position_ids, cache, vision, refuse_pictures=goes_on) | kwargs, None
        if position_ids is not None:
            raise ValueError("`position_ids` cannot be combined with memory, which decides about positions, too.")
        refuse_filled_cache(cache)
        return self._inputs_of_prompt(memory_inputs, text, labels, vision, kwargs)

    def _inputs_that_go_on(
        self,
        text: dict[str, torch.Tensor | None],
        position_ids: torch.LongTensor | None,
        cache,
        vision: dict[str, torch.Tensor | None],
        refuse_pictures: bool,
    ) -> dict[str, Any]:
        """Return the arguments for a text without memory, or for one that goes on after the memory in its cache."""
        memory = MemoryInCache.of(cache)
        has_pictures = vision["pixel_values"] is not None or vision["pixel_values_videos"] is not None
        if has_pictures and refuse_pictures:
            raise ValueError(
                f"Pictures cannot be added to a text in `{CACHE_NAME}`, as memory in the layers depends on the whole "
                "prompt; pass the whole text anew."
            )
        if memory is not None and position_ids is None:
            if has_pictures:
                raise ValueError(f"Pictures after memory in `{CACHE_NAME}` need `position_ids`, got None.")
            new = text["input_ids"] if text["inputs_embeds"] is None else text["inputs_embeds"]
            mask, position_ids = memory.continue_after(text["attention_mask"], cache.get_seq_length(), new)
            text = {**text, "attention_mask": mask}
        in_layers = {} if memory is None or memory.ffn_memory is None else {"ffn_memory": memory.ffn_memory}
        return {**text, "position_ids": position_ids, **vision, **in_layers}

    def _inputs_of_prompt(
        self,
        memory_inputs,
        text: dict[str, torch.Tensor | None],
        labels: torch.LongTensor | None,
        vision: dict[str, torch.Tensor | None],
        kwargs: dict[str, Any],
    ) -> tuple[dict[str, Any], PromptWithMemory]:
        """Return the arguments for a prompt that is read from its start, and the prompt."""
        input_ids, attention_mask = text["input_ids"], text["attention_mask"]
        if (input_ids is None) == (text["inputs_embeds"] is None):
            raise ValueError("Exactly one of `input_ids` and `inputs_embeds` is needed beside `memory_inputs`.")
        if attention_mask is None and input_ids is not None:
            attention_mask, _ = self._find_padding(input_ids, self.generation_config)
        prompt = self._prepend_memory(
            memory_inputs,
            input_ids,
            inputs_embeds=text["inputs_embeds"],
            attention_mask=attention_mask,
            second_per_grid_ts=kwargs.pop("second_per_grid_ts", None),
            labels=labels,
            **vision,
            **{name: kwargs[name] for name in ("output_attentions", "output_hidden_states") if name in kwargs},
        )
        inputs = {
            "inputs_embeds": prompt.inputs_embeds,
            "attention_mask": prompt.attention_mask,
            "position_ids": prompt.position_ids,
        }
        if prompt.ffn_memory is not None:
            inputs["ffn_memory"] = prompt.ffn_memory
        return {**kwargs, **inputs}, prompt


__all__ = ["CoMemBackboneInputsMixin"]
