"""Conversations as token ids with labels on the answers."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from transformers import BatchFeature

from comem_hf.modeling import CoMemProcessor
from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO, load_image
from comem_hf.modeling.prompt_with_memory_comem import IGNORE_INDEX

from .sample import TrainingSample


class Segment(NamedTuple):
    """A part of a rendered conversation, which is learned if it is an answer."""

    text: str
    is_answer: bool


class ChatEncoder:
    r"""Encoder of conversations: renders them with the chat template, tokenizes prompts and answers separately.

    An answer is tokenized on its own, as at generation: the tokens of the prompt always end with the template's
    generation prompt (`<|im_start|>assistant\n`), whatever the answer starts with. Every assistant turn is learned,
    including its end (`<|im_end|>\n`), as in the published training. The conversation may begin with a turn of the
    system.

    Args:
        processor ([`CoMemProcessor`]): The processor of the model.
    """

    def __init__(self, processor: CoMemProcessor):
        self.processor = processor
        self._special = re.compile("|".join(map(re.escape, processor.tokenizer.all_special_tokens)))

    def __call__(self, samples: list[TrainingSample]) -> BatchFeature:
        """Encode a batch, left-padded.

        Args:
            samples (`list[TrainingSample]`): The samples; their memory items are ignored.

        Returns:
            `BatchFeature`: `input_ids`, `attention_mask`, `mm_token_type_ids`, `labels`, each (batch, length); with
            query images also `pixel_values` (patches, values) and `image_grid_thw` (images, 3).

        Raises:
            ValueError: If an image cannot be read, or a conversation shows more or fewer images than its sample has.
        """
        image_inputs = self._process_images(samples)
        sizes = iter(self._num_image_tokens(image_inputs))
        chats = [self._expand_images(self.split(sample), [next(sizes) for _ in sample.images]) for sample in samples]
        texts = [segment.text for segments in chats for segment in segments]
        ids = iter(self.processor.tokenizer(texts, add_special_tokens=False)["input_ids"])
        rows = [[(next(ids), segment.is_answer) for segment in segments] for segments in chats]

        input_ids = _pad_left(([t for tokens, _ in row for t in tokens] for row in rows), self._pad_token_id)
        labels = _pad_left(
            ([t if is_answer else IGNORE_INDEX for tokens, is_answer in row for t in tokens] for row in rows),
            IGNORE_INDEX,
        )
        lengths = torch.tensor([sum(len(tokens) for tokens, _ in row) for row in rows])
        attention_mask = (torch.arange(input_ids.shape[1]) >= input_ids.shape[1] - lengths[:, None]).long()
        mm_token_type_ids = (input_ids == self.processor.image_token_id).long()
        return BatchFeature(
            {
                "input_ids": input_ids,
                "attention_mask": attention_mask,
                "mm_token_type_ids": mm_token_type_ids,
                "labels": labels,
                **image_inputs,
            }
        )

    def split(self, sample: TrainingSample) -> list[Segment]:
        """Render a conversation and cut it before and after each assistant turn.

        Raises:
            ValueError: If the chat template renders the start of a conversation differently from the whole, or leaves
                nothing of an answer.
        """
        segments: list[Segment] = []
        rendered = ""
        for i, message in enumerate(sample.messages):
            if message["role"] != "assistant":
                continue
            prompt = self._render(sample.messages[:i], add_generation_prompt=True)
            whole = self._render(sample.messages[: i + 1])
            if not (prompt.startswith(rendered) and whole.startswith(prompt)):
                raise ValueError(
                    "The chat template does not render a conversation turn by turn, so its answers cannot be found."
                )
            if not self._special.sub("", whole[len(prompt) :]).strip():
                raise ValueError(
                    f"{sample.name}: the chat template leaves nothing of the answer but {whole[len(prompt) :]!r:.80}: "
                    "it must say something beside special tokens."
                )
            segments += [Segment(prompt[len(rendered) :], False), Segment(whole[len(prompt) :], True)]
            rendered = whole
        return segments

    def text_tokens(self, segments: Sequence[Segment]) -> int:
        """Return the number of tokens of a rendered conversation, in which each picture has one."""
        texts = [segment.text for segment in segments]
        return sum(map(len, self.processor.tokenizer(texts, add_special_tokens=False)["input_ids"]))

    def image_tokens(self, sizes: Sequence[tuple[int, int]]) -> int:
        """Return the number of tokens of pictures of these sizes, each (width, height)."""
        processor = self.processor.image_processor
        patches = (processor.get_number_of_image_patches(height, width) for width, height in sizes)
        return sum(patches) // processor.merge_size**2

    def _render(self, messages: list[dict[str, Any]], add_generation_prompt: bool = False) -> str:
        return self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )

    def _process_images(self, samples: list[TrainingSample]) -> BatchFeature:
        images = []
        for sample in samples:
            for image in sample.images:
                try:
                    images.append(load_image(image, max_aspect_ratio=MAX_ASPECT_RATIO))
                except ValueError as error:
                    raise ValueError(f"{sample.name}: {error}") from error
        return self.processor.image_processor(images=images, return_tensors="pt") if images else BatchFeature()

    def _num_image_tokens(self, image_inputs: BatchFeature) -> list[int]:
        if not image_inputs:
            return []
        return (image_inputs["image_grid_thw"].prod(-1) // self.processor.image_processor.merge_size**2).tolist()

    def _expand_images(self, segments: list[Segment], num_tokens: list[int]) -> list[Segment]:
        """Repeat each image placeholder as often as its image has tokens."""
        token = self.processor.image_token
        if sum(segment.text.count(token) for segment in segments) != len(num_tokens):
            raise ValueError(f"A conversation must show {token} once for each of its {len(num_tokens)} images.")
        sizes = iter(num_tokens)

        def expand(text: str) -> str:
            first, *rest = text.split(token)
            return first + "".join(token * next(sizes) + part for part in rest)

        return [Segment(expand(segment.text), segment.is_answer) for segment in segments]

    @property
    def _pad_token_id(self) -> int:
        return self.processor.tokenizer.pad_token_id


def _pad_left(rows: Iterable[list[int]], value: int) -> torch.Tensor:
    rows = list(rows)
    length = max(len(row) for row in rows)
    return torch.tensor([[value] * (length - len(row)) + row for row in rows], dtype=torch.long)
