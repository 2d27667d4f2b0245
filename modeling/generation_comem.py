"""Decoding with memory in front of the prompt."""

import copy
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, GenerationMixin, PreTrainedModel
from transformers.generation import GenerationMode
from transformers.utils import ModelOutput, logging

from .cache_name_comem import CACHE_NAME, given_cache, refuse_filled_cache
from .configuration_comem import CoMemConfig
from .ffn_memory_comem import FfnMemory
from .prompt_with_memory_comem import without_unknown_seconds


logger = logging.get_logger(__name__)

# As transformers says it; its own check does not see prompts that come as embeddings.
RIGHT_PADDING = (
    "A decoder-only architecture is being used, but right-padding was detected! For correct generation results, "
    "please set `padding_side='left'` when initializing the tokenizer."
)

# Inputs that go into the prompt's embeddings; decoding does not need them afterwards.
PROMPT_INPUTS = (
    "attention_mask",
    "mm_token_type_ids",
    "pixel_values",
    "pixel_values_videos",
    "image_grid_thw",
    "video_grid_thw",
    "second_per_grid_ts",
)


@dataclass
class MemoryInCache:
    """The state for continuing a text whose memory and prompt are in a key-value cache.

    It stays with the cache, so that other calls in between cannot change it, as they change the backbone's
    `rope_deltas`.
    """

    attention_mask: torch.Tensor
    """`(batch, memory + prompt)`: of the positions in the cache."""
    prompt_length: int
    """Positions of the prompt alone, padding included, as the caller gave it; pictures may have left the cache."""
    next_position: torch.Tensor
    """`(batch, 1)`: position of the next token."""
    ffn_memory: FfnMemory | None = None
    """Memory for the feed-forward layers, which the text goes on reading."""

    @staticmethod
    def of(cache) -> "MemoryInCache | None":
        """Return the state stored with `cache`; `None` if there is no memory in it, or none any more."""
        memory = getattr(cache, "memory_in_cache", None)
        return None if memory is None or cache.get_seq_length() == 0 else memory

    def continue_after(
        self, attention_mask: torch.Tensor | None, past_length: int, new: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mask and positions of tokens that continue the text in the cache.

        Args:
            attention_mask (`torch.Tensor` of shape `(batch, length)`, *optional*): Mask of the text from the prompt's
                start to the last of the new tokens, without the memory.
            past_length (`int`): Positions in the cache.
            new (`torch.Tensor` of shape `(batch, new, ...)`): The tokens that follow, or their embeddings.

        Returns:
            `tuple[torch.Tensor, torch.Tensor]`: `attention_mask` of shape `(batch, past + new)`, memory included, and
            `position_ids` of shape `(3, batch, new)`.
        """
        batch, length = self.attention_mask.shape
        expected = (batch, past_length + new.shape[1] - length + self.prompt_length)
        if attention_mask is None:
            attention_mask = self.attention_mask.new_ones(expected)
        if attention_mask.shape != expected or len(new) != batch:
            raise ValueError(
                f"`{CACHE_NAME}` holds memory for {batch} prompts: to go on, `attention_mask` must have shape "
                f"{expected} (all tokens so far, without memory), got {tuple(attention_mask.shape)} with "
                f"{len(new)} rows of new tokens."
            )
        after = attention_mask[:, self.prompt_length :]
        position_ids = self.next_position + after.long().cumsum(dim=1) - 1
        attention_mask = torch.cat([self.attention_mask.to(after.dtype), after], dim=1)
        return attention_mask, position_ids[:, -new.shape[1] :].expand(3, -1, -1)


class CoMemGenerationMixin(GenerationMixin):
    """`generate` for a model with memory in front of its prompts.

    Memory, prompt and pictures are passed as `inputs_embeds`, beside the prompt's `input_ids`: transformers reads the
    embeddings once, to fill the cache, and does all its bookkeeping with the ids. So code that counts or shows tokens
    never sees a memory vector, and nothing has to be cut off the result.
    """

    # Attributes that the model has.
    config: CoMemConfig
    backbone: PreTrainedModel

    @torch.no_grad()
    def generate(
        self,
        inputs: torch.LongTensor | None = None,
        generation_config: GenerationConfig | None = None,
        *args,
        memory_inputs=None,
        **kwargs,
    ):
        """Generate as the backbone does, with `memory_inputs`, which are encoded once, in front of the prompt.

        The result is as from the backbone: prompt and new tokens, without the memory's positions. Lengths, streamers
        and logits processors count and see prompt and new tokens only.

        Args:
            inputs (`torch.LongTensor` of shape `(batch, length)`, *optional*): The prompts; also as `input_ids`.
            generation_config ([`~transformers.GenerationConfig`], *optional*): The settings, by default the model's.
            memory_inputs (mapping or `torch.Tensor`, *optional*): Memory of each prompt, as items or stored vectors
                (see [`MemoryInputs`]).
            *args, **kwargs: As for [`~transformers.GenerationMixin.generate`], in its order.

        Raises:
            ValueError: If memory is combined with what it cannot be combined with; the message names it.
        """
        cache = given_cache(kwargs.pop("cache", None), kwargs.pop("past_key_values", None))
        if cache is not None:
            kwargs[CACHE_NAME] = cache
        if memory_inputs is None and MemoryInCache.of(cache) is not None:
            raise ValueError(
                f"`generate` cannot continue `{CACHE_NAME}` with memory in it; pass the whole text with "
                "`memory_inputs`, or call the model itself."
            )
        if memory_inputs is None and self.reader is not None:
            memory_inputs = self._no_items(kwargs.get("input_ids") if inputs is None else inputs)
            if memory_inputs is None:
                raise ValueError("`input_ids` is needed to generate with a text-only reader, got None.")
        if memory_inputs is None and not self._is_changed_by_sites(
            kwargs.get("pixel_values"), kwargs.get("pixel_values_videos")
        ):
            # This model's settings, not the backbone's; merged here, because transformers deprecates passing both.
            generation_config = copy.deepcopy(
                self.generation_config if generation_config is None else generation_config
            )
            kwargs = without_unknown_seconds(generation_config.update(**kwargs), self.backbone)
            return self.backbone.generate(inputs, generation_config, *args, **kwargs)
        input_ids = inputs if inputs is not None else kwargs.pop("input_ids", None)
        if input_ids is None:
            raise ValueError("`input_ids` is needed to generate with memory, got None.")
        for name in ("position_ids", "inputs_embeds"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(f"`{name}` cannot be combined with memory; pass `input_ids` alone.")
        refuse_filled_cache(cache)
        prompt_inputs = {name: kwargs.pop(name, None) for name in PROMPT_INPUTS}
        mask = prompt_inputs["attention_mask"]
        if mask is None:
            mask, is_padding = self._find_padding(input_ids, generation_config, **kwargs)
            prompt_inputs["attention_mask"] = mask
        else:
            is_padding = mask == 0
        if len(input_ids) > 1 and is_padding[..., -1].any():
            logger.warning(RIGHT_PADDING)
        prompt = self._prepend_memory(memory_inputs, input_ids, **prompt_inputs)
        if prompt.ffn_memory is not None:  # as tensors, which beams and returned sequences repeat
            kwargs |= {"ffn_keys": prompt.ffn_memory.keys, "ffn_values": prompt.ffn_memory.values}
        result = super().generate(
            input_ids,
            generation_config,
            *args,
            inputs_embeds=prompt.inputs_embeds,
            attention_mask=prompt.attention_mask,
            position_ids=prompt.position_ids,
            memory_lengths=prompt.memory_lengths,
            **kwargs,
        )
        if isinstance(result, ModelOutput):  # from whose cache the text can be continued
            self._remember_memory(result.get(CACHE_NAME), prompt)
        return result

    def _find_padding(
        self, input_ids: torch.LongTensor, generation_config: GenerationConfig | None = None, **kwargs
    ) -> tuple[torch.LongTensor, torch.BoolTensor]:
        """Return the mask that transformers' `generate` makes where none is given, and where padding tokens are.

        The two differ where the padding token also ends answers, as in the published backbones: then padding cannot be
        told from text, nothing is masked, and a warning says so.
        """
        settings, _ = self._prepare_generation_config(generation_config, **kwargs)
        has_mask = False if len(input_ids) > 1 else None  # None: no warning; a prompt alone is seldom padded
        self._prepare_special_tokens(settings, has_mask, device=input_ids.device)
        mask = self._prepare_attention_mask_for_generation(input_ids, settings, {})
        padding = settings._pad_token_tensor
        return mask, torch.zeros_like(mask, dtype=torch.bool) if padding is None else input_ids == padding

    def _remember_memory(self, cache, prompt):
        """Store in a cache, if there is one, the state from which the text after `prompt` continues."""
        if cache is None:
            return
        next_position = prompt.position_ids.amax(dim=(0, 2))[:, None] + 1
        if self.config.decode_position_offset is not None:
            next_position = next_position - prompt.memory_lengths + self.config.decode_position_offset
        cache.memory_in_cache = MemoryInCache(
            prompt.attention_mask, prompt.prompt_length, next_position, prompt.ffn_memory
        )

    def _validate_generation_mode(self, generation_mode, generation_config, generation_mode_kwargs):
        # Without memory the backbone generates, so every call that comes here has memory, or a text-only reader.
        super()._validate_generation_mode(generation_mode, generation_config, generation_mode_kwargs)
        given = "`memory_inputs`" if self.reader is None else "a text-only reader"
        if generation_mode == GenerationMode.ASSISTED_GENERATION:
            raise ValueError(f"Assisted decoding and prompt lookup cannot be combined with {given}.")
        if generation_config.prefill_chunk_size is not None:
            raise ValueError(
                f"`prefill_chunk_size` cannot be combined with {given}, got {generation_config.prefill_chunk_size}."
            )

    def _prepare_generated_length(self, *args, **kwargs):
        # With embeddings, `generate` subtracts their length from `max_length`, as if there were no `input_ids`.
        return super()._prepare_generated_length(*args, **{**kwargs, "model_input_name": self.main_input_name})

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids=None, *, position_ids, **model_kwargs
    ):
        # The batch is the second of three dimensions, but early versions of transformers 5 expect it to be the first;
        # with a text-only reader, there are two dimensions.
        input_ids, model_kwargs = super()._expand_inputs_for_generation(
            expand_size, is_encoder_decoder, input_ids, **model_kwargs
        )
        model_kwargs["position_ids"] = position_ids.repeat_interleave(expand_size, dim=-2)
        return input_ids, model_kwargs

    def prepare_inputs_for_generation(
        self,
        input_ids,
        inputs_embeds=None,
        memory_lengths=None,
        ffn_keys=None,
        ffn_values=None,
        is_first_iteration: bool = False,
        **kwargs,
    ):
        model_inputs = super().prepare_inputs_for_generation(
            input_ids, inputs_embeds=inputs_embeds, is_first_iteration=is_first_iteration, **kwargs
        )
        if ffn_keys is not None:
            model_inputs |= {"ffn_keys": ffn_keys, "ffn_values": ffn_values}
        offset = self.config.decode_position_offset
        if memory_lengths is not None and offset is not None and not is_first_iteration:
            model_inputs["position_ids"] = model_inputs["position_ids"] - memory_lengths + offset
        return model_inputs


__all__ = ["CoMemGenerationMixin", "MemoryInCache"]
