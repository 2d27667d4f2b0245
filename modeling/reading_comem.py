"""Reading with a text-only language model, while the backbone only encodes."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .cache_name_comem import CACHE_NAME
from .configuration_comem import CoMemConfig
from .memory_encoder_comem import CoMemMemoryEncoder, mm_token_types
from .placement_comem import execution_device
from .prompt_for_reader_comem import PromptForReader, ReadingInCache, left_padded
from .prompt_with_memory_comem import IGNORE_INDEX, PromptWithMemory, mask_of_prompt
from .query_pictures_comem import read_after_encoding
from .reader_comem import LANGUAGE_MODEL, CoMemReader


VISION_INPUTS = ("pixel_values", "pixel_values_videos", "image_grid_thw", "video_grid_thw", "mm_token_type_ids")


class CoMemReadingMixin:
    """The methods of the model that let a text-only language model read in the backbone's place.

    The backbone, on the memory encoder's way, then only encodes: items into memory vectors, and the prompt with its
    pictures into hidden states. With `M` the memory vectors, `Q` the hidden states and `X` the prompt's embeddings,
    picture features in place, the reader's input is `[M ; Q ; X']`, as in the published text-only model
    (`src_llm` of CoMEM): `X'` is `X` (`reader_prompt="whole"`) or what follows the first picture (`"after_vision"`).
    With labels and `"whole"`, `Q` ends where the first answer begins. The reader counts positions from 0. In decoding,
    `M` and `Q` stay as they are.
    """

    # Attributes that the model has.
    config: CoMemConfig
    device: torch.device
    backbone: PreTrainedModel
    memory_encoder: CoMemMemoryEncoder
    reader: CoMemReader | None

    def reader_parameters(self) -> dict[str, nn.Parameter]:
        """Return the tensors of a text-only reader that training changes, by name: those of its projection."""
        if self.reader is None:
            return {}
        return {name: value for name, value in self._all_of_reader().items() if not name.startswith(LANGUAGE_MODEL)}

    def _all_of_reader(self) -> dict[str, nn.Parameter]:
        return {} if self.reader is None else {f"reader.{name}": p for name, p in self.reader.named_parameters()}

    @property
    def _vocabulary_model(self) -> PreTrainedModel:
        """The model whose embedding table and head decoding uses."""
        if self.reader is None or not self.reader.has_own_vocabulary:
            return self.backbone
        return self.reader.language_model

    def _no_items(self, input_ids: torch.Tensor | None, cache=None, position_ids=None) -> torch.Tensor | None:
        """Return stored memory without items for prompts; `None` if the ids continue a text that was read before."""
        if input_ids is None or position_ids is not None or cache is not None and cache.get_seq_length() > 0:
            return None
        return torch.zeros(len(input_ids), 0, self.config.num_memory_tokens, self.config.hidden_size)

    def _read(
        self,
        inputs: dict[str, Any],
        prompt: PromptForReader | None,
        labels: torch.Tensor | None,
        logits_to_keep: int | torch.Tensor,
    ) -> CausalLMOutputWithPast:
        """Let the reader answer, given what `_inputs_of_backbone` returns."""
        inputs, head = self._inputs_of_reader(inputs), self.backbone.get_output_embeddings()
        if prompt is None:
            kept = logits_to_keep if isinstance(logits_to_keep, int) else 0
            output = self.reader(head, kept, **inputs)
            logits = output.logits if isinstance(logits_to_keep, int) else output.logits[:, logits_to_keep]
        else:
            output = self.reader(head, prompt.num_kept(logits_to_keep), **inputs)
            logits = prompt.aligned(output.logits, logits_to_keep)
            self._remember_memory(output.get(CACHE_NAME), prompt)
        loss = None
        if labels is not None:
            settings = {name: inputs[name] for name in ("num_items_in_batch",) if name in inputs}
            loss = self.backbone.loss_function(
                logits=logits, labels=labels.to(logits.device), vocab_size=logits.shape[-1], **settings
            )
        more = {name: output.get(name) for name in (CACHE_NAME, "hidden_states", "attentions")}
        return CausalLMOutputWithPast(loss=loss, logits=logits, **more)

    def _read_states(self, inputs: dict[str, Any], prompt: PromptForReader | None):
        """Return the reader's output with `last_hidden_state` aligned with the prompt, if there is one."""
        output = self.reader.read(**self._inputs_of_reader(inputs))
        if prompt is not None:
            self._remember_memory(output.get(CACHE_NAME), prompt)
            output.last_hidden_state = prompt.aligned(output.last_hidden_state[:, -prompt.prompt_length :])
        return output

    def _inputs_of_reader(self, inputs: dict[str, Any]) -> dict[str, Any]:
        input_ids = inputs.get("input_ids")
        if input_ids is not None and inputs[CACHE_NAME] is None:
            raise ValueError(
                "`position_ids` cannot be given with a prompt for a text-only reader, which counts its rows itself, "
                "and decoding needs a cache (`use_cache=True`)."
            )
        if any(inputs.get(name) is not None for name in ("pixel_values", "pixel_values_videos")):
            raise ValueError(
                "A text-only reader gets pictures with the prompt's `input_ids` only; pass the whole text anew to add "
                "a picture to it."
            )
        inputs = {name: value for name, value in inputs.items() if name not in ("input_ids", *VISION_INPUTS)}
        if input_ids is None:
            return inputs
        inputs["inputs_embeds"] = self._embed(input_ids)
        return inputs

    def _embed(self, input_ids: torch.Tensor) -> torch.Tensor:
        table = self._vocabulary_model.get_input_embeddings()
        return table(input_ids.to(execution_device(table)))

    def _remember_memory(self, cache, prompt: PromptWithMemory):
        if self.reader is None:
            super()._remember_memory(cache, prompt)
        elif cache is not None:
            length = prompt.attention_mask.sum(dim=1, keepdim=True)
            cache.memory_in_cache = ReadingInCache(prompt.attention_mask, prompt.prompt_length, length)

    def _prepend_memory(
        self,
        memory_inputs,
        input_ids: torch.LongTensor | None,
        *,
        inputs_embeds: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        **pictures,
    ) -> PromptWithMemory:
        if self.reader is None:
            return super()._prepend_memory(
                memory_inputs,
                input_ids,
                inputs_embeds=inputs_embeds,
                attention_mask=attention_mask,
                labels=labels,
                **pictures,
            )
        self.config.check_per_call_fields()
        if inputs_embeds is not None:
            raise ValueError(
                "A text-only reader needs the prompt's `input_ids`, which its encoder reads, too; `inputs_embeds` "
                "cannot be combined with `memory_inputs`."
            )
        attention_mask = mask_of_prompt(attention_mask, input_ids)
        memory, memory_mask = self._memory_vectors(memory_inputs, input_ids.shape[0])
        query, prompt = self._encode_prompt(input_ids, attention_mask, **pictures)
        mask = attention_mask.to(self.reader.device).bool()
        parts = [self.reader.project(memory), self.reader.project(query), prompt]
        masks = [
            memory_mask.to(mask.device),
            mask & self._is_encoded(mask, labels),
            mask & read_after_encoding(input_ids, self.config).to(mask.device),
        ]
        inputs_embeds, packed = left_padded(torch.cat(parts, dim=1), torch.cat(masks, dim=1), least=input_ids.shape[1])
        rows = None
        if (mask[:, :-1] > mask[:, 1:]).any():  # padding on the right of a token
            real_from_here = mask.long().flip(1).cumsum(1).flip(1)
            rows = (packed.shape[1] - real_from_here).clamp(max=packed.shape[1] - 1)
        return PromptForReader(
            inputs_embeds=inputs_embeds,
            attention_mask=packed.long(),
            position_ids=(packed.long().cumsum(1) - 1).clamp(min=0),
            memory_lengths=memory_mask.sum(dim=1, keepdim=True),
            prompt_length=input_ids.shape[1],
            vision_outputs={},
            rows=rows,
        )

    def _is_encoded(self, mask: torch.BoolTensor, labels: torch.LongTensor | None) -> torch.BoolTensor:
        """Return which tokens of the prompt the reader gets as hidden states of the encoder.

        With labels, these are the tokens before the first answer: hidden states from there on would tell the reader,
        which sees them before it reads the text, what it has to learn. Published training gives it all of them.
        """
        if labels is None or self.config.reader_prompt == "after_vision":
            return torch.ones_like(mask)
        return (labels != IGNORE_INDEX).to(mask.device).cumsum(dim=1) == 0

    def _encode_prompt(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor,
        mm_token_type_ids: torch.IntTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        image_grid_thw: torch.LongTensor | None = None,
        video_grid_thw: torch.LongTensor | None = None,
        second_per_grid_ts: torch.Tensor | None = None,
        **unused,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the encoder's last hidden states of a prompt, and the prompt's embeddings as the reader gets them.

        The former have the shape `(batch, length, backbone's hidden)`, the latter `(batch, length, reader's hidden)`.
        """
        encoder = self.memory_encoder
        encoder.check_weights()
        size = self._vocabulary_model.get_input_embeddings().num_embeddings
        if size < self.backbone.get_input_embeddings().num_embeddings and int(input_ids.max()) >= size:
            raise ValueError(
                f"The prompt has the token {int(input_ids.max())}, but the text-only reader knows {size} tokens; it "
                "must have the tokenizer of the backbone."
            )
        model, ids = encoder.model, self.config.backbone_config
        if mm_token_type_ids is None:
            mm_token_type_ids = mm_token_types(input_ids, ids.image_token_id, ids.video_token_id)
        seconds = {} if second_per_grid_ts is None else {"second_per_grid_ts": second_per_grid_ts}
        position_ids, _ = model.get_rope_index(
            input_ids,
            mm_token_type_ids,
            image_grid_thw=image_grid_thw,
            video_grid_thw=video_grid_thw,
            attention_mask=attention_mask,
            **seconds,
        )
        images, videos = map(encoder.for_checkpointing, (pixel_values, pixel_values_videos))
        features = _features(model, images, image_grid_thw, videos, video_grid_thw)
        embeds = _with_features(model, input_ids, model.get_input_embeddings()(input_ids), features)
        query = model(
            inputs_embeds=encoder.for_checkpointing(embeds),
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=False,
        ).last_hidden_state
        if self.config.query_vision == "backbone":
            features = _features(
                self.backbone.model, pixel_values, image_grid_thw, pixel_values_videos, video_grid_thw
            )
        features = {name: self.reader.project(value) for name, value in features.items()}
        embeds = self._embed(input_ids)
        embeds = embeds.to(device=self.reader.device, dtype=self.reader.language_model.dtype)
        return query, _with_features(model, input_ids.to(embeds.device), embeds, features)


def _features(model: PreTrainedModel, images, image_grid, videos, video_grid) -> dict[str, torch.Tensor]:
    """Return the features of all pictures and videos, by the names under which `get_placeholder_mask` takes them."""
    features = {}
    if images is not None:
        features["image_features"] = torch.cat(model.get_image_features(images, image_grid).pooler_output)
    if videos is not None:
        features["video_features"] = torch.cat(model.get_video_features(videos, video_grid).pooler_output)
    return features


def _with_features(
    model: PreTrainedModel, input_ids: torch.Tensor, embeds: torch.Tensor, features: dict[str, torch.Tensor]
) -> torch.Tensor:
    for index, name in enumerate(("image_features", "video_features")):
        if name in features:
            where = model.get_placeholder_mask(input_ids, embeds, **{name: features[name]})[index]
            embeds = embeds.masked_scatter(where, features[name].to(device=embeds.device, dtype=embeds.dtype))
    return embeds


__all__ = ["CoMemReadingMixin"]
