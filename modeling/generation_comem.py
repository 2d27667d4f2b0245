"""Decoding with memory in front of the prompt."""

import copy

import torch
from transformers import GenerationConfig, GenerationMixin
from transformers.generation import GenerationMode


# What the prompt's embeddings take up, and decoding has no more use for.
PROMPT_INPUTS = (
    "attention_mask",
    "mm_token_type_ids",
    "pixel_values",
    "pixel_values_videos",
    "image_grid_thw",
    "video_grid_thw",
    "second_per_grid_ts",
)


class CoMemGenerationMixin(GenerationMixin):
    """
    `generate` for a model whose prompts may be preceded by memory.

    Memory, prompt and pictures go in as `inputs_embeds`, beside the prompt's `input_ids`: transformers reads the first
    once, to fill the cache, and does all its bookkeeping with the second. So nothing that counts or shows tokens ever
    meets a memory vector, and there is nothing to cut off the result.
    """

    @torch.no_grad()
    def generate(
        self,
        inputs: torch.LongTensor | None = None,
        generation_config: GenerationConfig | None = None,
        *,
        memory_inputs=None,
        **kwargs,
    ):
        """
        As the backbone's `generate`, plus `memory_inputs`, which are encoded once.

        Returns what the backbone would: prompt and new tokens, without the memory's positions. Lengths, streamers and
        logits processors count and see prompt and new tokens only.
        """
        if memory_inputs is None:
            # This model's settings, not the backbone's. Merged here, for transformers deprecates giving both.
            generation_config = copy.deepcopy(
                self.generation_config if generation_config is None else generation_config
            )
            return self.backbone.generate(
                inputs, generation_config=generation_config, **generation_config.update(**kwargs)
            )
        input_ids = inputs if inputs is not None else kwargs.pop("input_ids", None)
        if input_ids is None:
            raise ValueError("`input_ids` is needed to generate with `memory_inputs`, got None.")
        prompt_inputs = {name: kwargs.pop(name, None) for name in PROMPT_INPUTS}
        prompt = self._prepend_memory(memory_inputs, input_ids, **prompt_inputs)
        return super().generate(
            input_ids,
            generation_config=generation_config,
            inputs_embeds=prompt.inputs_embeds,
            attention_mask=prompt.attention_mask,
            position_ids=prompt.position_ids,
            memory_lengths=prompt.memory_lengths,
            **kwargs,
        )

    def _validate_generation_mode(self, generation_mode, generation_config, generation_mode_kwargs):
        # Without memory the backbone generates, so whatever comes here has some.
        super()._validate_generation_mode(generation_mode, generation_config, generation_mode_kwargs)
        if generation_mode == GenerationMode.ASSISTED_GENERATION:
            raise ValueError("Assisted decoding and prompt lookup cannot be combined with `memory_inputs`.")
        if generation_config.prefill_chunk_size is not None:
            raise ValueError(
                "`prefill_chunk_size` cannot be combined with `memory_inputs`, got "
                f"{generation_config.prefill_chunk_size}."
            )

    def _prepare_generated_length(self, *args, **kwargs):
        # Given embeddings, `generate` takes their length off `max_length`, as if there were no `input_ids`.
        return super()._prepare_generated_length(*args, **{**kwargs, "model_input_name": self.main_input_name})

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids=None, *, position_ids, **model_kwargs
    ):
        # The batch is the second of three dimensions, which early versions of transformers 5 take to be the first.
        input_ids, model_kwargs = super()._expand_inputs_for_generation(
            expand_size, is_encoder_decoder, input_ids, **model_kwargs
        )
        model_kwargs["position_ids"] = position_ids.repeat_interleave(expand_size, dim=1)
        return input_ids, model_kwargs

    def prepare_inputs_for_generation(
        self, input_ids, inputs_embeds=None, memory_lengths=None, is_first_iteration: bool = False, **kwargs
    ):
        model_inputs = super().prepare_inputs_for_generation(
            input_ids, inputs_embeds=inputs_embeds, is_first_iteration=is_first_iteration, **kwargs
        )
        offset = self.config.decode_position_offset
        if memory_lengths is not None and offset is not None and not is_first_iteration:
            model_inputs["position_ids"] = model_inputs["position_ids"] - memory_lengths + offset
        return model_inputs


__all__ = ["CoMemGenerationMixin"]
