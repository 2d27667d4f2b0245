"""The processor, which makes model inputs of text, images and memory items."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, Qwen2VLProcessor
from transformers.image_utils import ImageInput
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize
from transformers.utils import is_torchvision_available
from transformers.video_utils import VideoInput

from .memory_inputs import CoMemBatchFeature, MemoryInputs
from .memory_item import MemoryItem, numbers_of_equal_items
from .picture_comem import MAX_ASPECT_RATIO, is_picture, load_image


ITEM_INSTRUCTION = "Similar image and text knowledge for reference"
# As in the published code, which cuts every message of an item at this length.
MAX_ITEM_CHARACTERS = 5000


class CoMemProcessor(Qwen2VLProcessor):
    """A processor for prompts, their images and their memory items.

    Everything but `memories` works as in [`~transformers.Qwen2VLProcessor`], chat templates included. Only videos need
    torchvision: without it `video_processor` is kept as a dictionary of its settings, which are saved unchanged.

    Args:
        image_processor ([`~transformers.Qwen2VLImageProcessor`]): Cuts images into patches.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): The backbone's tokenizer.
        video_processor ([`~transformers.Qwen2VLVideoProcessor`] or `dict`, *optional*): Samples videos and cuts them
            into patches, or its settings; the settings default to those of `image_processor`.
        chat_template (`str`, *optional*): Jinja template of a conversation.
        memory_min_pixels (`int`, *optional*, defaults to `16 * 28 * 28`): Size to which smaller images of memory items
            are scaled up; separate from the prompt's images.
        memory_max_pixels (`int`, *optional*, defaults to `64 * 28 * 28`): Size to which larger ones are scaled down.
            Both are of each picture: the encoder reads up to 64 tokens, by default, for each picture of an item.
    """

    _auto_class = "AutoProcessor"  # saving also copies the source files

    def __init__(
        self,
        image_processor=None,
        tokenizer=None,
        video_processor=None,
        chat_template=None,
        memory_min_pixels: int = 16 * 28 * 28,
        memory_max_pixels: int = 64 * 28 * 28,
    ):
        if video_processor is None and image_processor is not None:
            video_processor = _video_settings(image_processor)
        if isinstance(video_processor, dict) and is_torchvision_available():
            from transformers import Qwen2VLVideoProcessor

            video_processor = Qwen2VLVideoProcessor(**video_processor)
        super().__init__(image_processor, tokenizer, video_processor, chat_template=chat_template)
        self.video_processor = video_processor
        if not 0 < memory_min_pixels <= memory_max_pixels:
            raise ValueError(
                "`memory_min_pixels` must be positive and at most `memory_max_pixels`, got "
                f"{memory_min_pixels!r} and {memory_max_pixels!r}."
            )
        self.memory_min_pixels = memory_min_pixels
        self.memory_max_pixels = memory_max_pixels

    @classmethod
    def get_attributes(cls) -> list[str]:
        # Without torchvision no video processor can be loaded; the other parts load without it.
        return ["image_processor", "tokenizer", *(["video_processor"] if is_torchvision_available() else [])]

    def __call__(
        self,
        images: ImageInput | None = None,
        text: str | list[str] | None = None,
        videos: VideoInput | None = None,
        memories: list[MemoryItem] | list[list[MemoryItem]] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """Prepare prompts, with their images, videos and memory items.

        Args:
            images (*optional*): Images of the prompts: URLs, or any form that [`load_image`] takes. Where the call
                says how arrays are to be read (`do_rescale=False`, `do_convert_rgb=False`, `input_data_format`), they
                go to the image processor as they are.
            text (`str` or `list[str]`, *optional*): Prompts, with an image token for each image.
            videos (*optional*): Videos of the prompts; needs torchvision. Frames without `video_metadata` are taken
                for 24 a second, as by Qwen2.5-VL.
            memories (`list[list[MemoryItem]]`, *optional*): Memory items of each prompt, or mappings of their fields
                such as `{"image": image, "text": "..."}`; a single prompt may come with a plain list of items, which
                may be empty.
            **kwargs: As for [`~transformers.Qwen2VLProcessor`], such as `return_tensors` and `padding`.

        Returns:
            [`~transformers.BatchFeature`]: The inputs of Qwen2-VL, including `mm_token_type_ids`, and `memory_inputs`
            if `memories` were given. With videos also `second_per_grid_ts`, the seconds between the temporal positions
            of each video, from which Qwen2.5-VL counts time; the model gives them only to a backbone that does.

        Raises:
            ValueError: If a prompt is empty, an image cannot be read, `memories` do not fit the prompts, or a
                `memory_bank` is given.
        """
        _refuse_bank(kwargs)
        if videos is not None and isinstance(self.video_processor, dict):
            raise ValueError("`videos` need torchvision, which is not installed: `pip install torchvision`.")
        prompts = [text] if isinstance(text, str) else text
        for index, prompt in enumerate(prompts or []):
            if isinstance(prompt, str) and not prompt.strip():
                raise ValueError(f"`text` must not be empty, but prompt {index} is.")
        images = _load_images(images, self._reads_arrays_itself(kwargs))
        inputs = self._process_prompts(images=images, text=text, videos=videos, **kwargs)
        features = CoMemBatchFeature(dict(inputs))
        if memories is not None:
            _check_is_list(memories)
            is_one_row = isinstance(memories[0], (MemoryItem, Mapping)) if len(memories) else len(prompts or ()) == 1
            memories = [memories] if is_one_row else memories
            if prompts is not None and len(memories) != len(prompts):
                raise ValueError(
                    "`memories` must have one list of items per prompt, got "
                    f"{len(memories)} for {len(prompts)} prompts."
                )
            features["memory_inputs"] = self.process_memories(memories)
        return features

    def _process_prompts(self, videos: VideoInput | None = None, **kwargs) -> dict[str, Any]:
        if videos is None:
            return super().__call__(**kwargs)
        wants_metadata = bool(kwargs.get("return_metadata"))
        inputs = super().__call__(videos=videos, **{**kwargs, "return_metadata": True})
        metadata = inputs["video_metadata"] if wants_metadata else inputs.pop("video_metadata")
        # As Qwen2.5-VL's processor has it.
        seconds = [self.video_processor.temporal_patch_size / video.sampled_fps for video in metadata]
        ids = inputs.get("input_ids")
        kind = "pt" if isinstance(ids, torch.Tensor) else "np" if isinstance(ids, np.ndarray) else None
        return {**inputs, **BatchFeature({"second_per_grid_ts": seconds}, tensor_type=kind)}

    def apply_chat_template(self, conversation, *args, **kwargs):
        """Apply the chat template as [`~transformers.Qwen2VLProcessor`] does.

        Raises:
            ValueError: If the last question of a conversation has an empty text, if a message carries memory, or if a
                `memory_bank` is given.
        """
        _refuse_bank(kwargs)
        for messages in _as_conversations(conversation):
            _refuse_memory_parts(messages)
            _refuse_empty_question(messages)
        return super().apply_chat_template(conversation, *args, **kwargs)

    def process_memories(self, memories: list[list[MemoryItem]], once: bool = False) -> MemoryInputs:
        """Prepare memory items for the encoder.

        An item becomes a user turn with its image and a fixed sentence, and an assistant turn with its text. The text
        is cut to 5,000 characters, as in the published code, and special tokens in it become spaces. Several images
        follow one another in their order, as the backbones' chat templates have them in a turn.

        Args:
            memories (`list[list[MemoryItem]]`): Items of each prompt, or mappings of their fields; may be empty.
            once (`bool`, *optional*, defaults to `False`): Whether items with the same text and the same pixels are
                given once, with an `item_index`, and so encoded once.

        Returns:
            [`MemoryInputs`]: Raw items, left-padded.
        """
        for row in memories:
            _check_is_list(row)
        items = [MemoryItem.of(item) for row in memories for item in row]
        item_counts = torch.tensor([len(row) for row in memories], dtype=torch.long)
        if not items:
            empty = torch.zeros((0, 0), dtype=torch.long)
            return MemoryInputs(
                {"input_ids": empty, "attention_mask": empty, "mm_token_type_ids": empty, "item_counts": item_counts}
            )
        pictures = [item.load_images([self.memory_picture_size]) for item in items]
        data: dict[str, Any] = {}
        if once:
            index = numbers_of_equal_items([item.text for item in items], pictures)
            first = [index.index(number) for number in range(max(index) + 1)]
            if len(first) < len(items):
                data["item_index"] = torch.tensor(index)
                items, pictures = [items[place] for place in first], [pictures[place] for place in first]
        images = [picture for own in pictures for picture in own]
        if images:
            size = {"shortest_edge": self.memory_min_pixels, "longest_edge": self.memory_max_pixels}
            data.update(self.image_processor(images, size=size, return_tensors="pt"))
        texts = self._item_prompts(items, data.get("image_grid_thw"))
        data.update(self.tokenizer(texts, padding=True, padding_side="left", return_tensors="pt"))
        data["mm_token_type_ids"] = (data["input_ids"] == self.image_token_id).long()
        return MemoryInputs({**data, "item_counts": item_counts})

    def memory_picture_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """Return the size that the picture of a memory item is resized to, a multiple of the patches of a token.

        Photographs come smaller out of their decoder, but not less than twice as large as this per side (see
        [`load_image`]).

        Args:
            size (`tuple[int, int]`): Width and height of the picture.

        Returns:
            `tuple[int, int]`: Width and height, `None` if the image processor does not resize or refuses the picture.
        """
        if not self.image_processor.do_resize or max(size) > MAX_ASPECT_RATIO * min(size):
            return None
        side = self.image_processor.patch_size * self.image_processor.merge_size
        height, width = smart_resize(size[1], size[0], side, self.memory_min_pixels, self.memory_max_pixels)
        return width, height

    def item_text(self, item: MemoryItem) -> str:
        """Return the text of an item as the memory encoder reads it (see [`~CoMemProcessor.process_memories`]).

        Args:
            item ([`MemoryItem`]): The item.

        Returns:
            `str`: The text, empty if the item has none.
        """
        return _readable(item, self._special_tokens())

    def _special_tokens(self) -> re.Pattern:
        return re.compile("|".join(map(re.escape, self.tokenizer.all_special_tokens)))

    def _item_prompts(self, items: list[MemoryItem], image_grid_thw: torch.Tensor | None) -> list[str]:
        sizes = iter(
            () if image_grid_thw is None else image_grid_thw.prod(dim=1) // self.image_processor.merge_size**2
        )
        special_tokens = self._special_tokens()
        prompts = []
        for item in items:
            shown = "".join(
                f"<|vision_start|>{self.image_token * int(next(sizes))}<|vision_end|>" for _ in item.pictures
            )
            text = _readable(item, special_tokens)
            prompts.append(
                f"<|im_start|>user\n{shown} {ITEM_INSTRUCTION}<|im_end|>\n<|im_start|>assistant\n{text}<|im_end|>\n"
            )
        return prompts

    def _reads_arrays_itself(self, kwargs: dict[str, Any]) -> bool:
        """Whether a call or the image processor says how arrays are to be read, other than [`load_image`] does."""
        given = {**kwargs, **(kwargs.get("images_kwargs") or {})}
        settings = {
            name: given.get(name, getattr(self.image_processor, name)) for name in ("do_rescale", "do_convert_rgb")
        }
        return given.get("input_data_format") is not None or not all(settings.values())

    @property
    def model_input_names(self) -> list[str]:
        return [*super().model_input_names, "second_per_grid_ts", "memory_inputs"]


def _readable(item: MemoryItem, special_tokens: re.Pattern) -> str:
    # Special tokens become a space, so that the text around them cannot join to form another one.
    return special_tokens.sub(" ", (item.text or "")[:MAX_ITEM_CHARACTERS])


def _check_is_list(memories: Any):
    if not isinstance(memories, (list, tuple)):
        raise ValueError(f"`memories` must be lists of memory items, one list per prompt, got {memories!r:.80}.")


def _refuse_bank(kwargs: Mapping[str, Any]):
    # The pipeline "image-text-to-text" hands arguments that it does not know to the processor.
    if kwargs.get("memory_bank") is not None:
        raise ValueError(
            "`memory_bank` is no argument of the processor or of the pipeline 'image-text-to-text': the pipeline "
            "'memory-image-text-to-text' takes a bank."
        )


def _as_conversations(conversation: Any) -> list[Any]:
    """Return one or several conversations, each a list of messages, as a list of conversations."""
    conversation = getattr(conversation, "messages", conversation)
    first = conversation[0] if conversation else None
    is_batch = isinstance(first, (list, tuple)) or hasattr(first, "messages")
    return [getattr(messages, "messages", messages) for messages in conversation] if is_batch else [conversation]


def _field(value: Any, name: str) -> Any:
    """Return a field of a message or of a part of one; newer versions of transformers take objects, too."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _refuse_memory_parts(messages: Any):
    for message in messages:
        content = _field(message, "content")
        for part in content if isinstance(content, (list, tuple)) else ():
            if _field(part, "type") == "memory":
                raise ValueError(
                    "A content part of type 'memory' cannot be put into a prompt: its text would stand there and its "
                    "picture would be lost; pass the items as `memories=` to the processor instead."
                )


def _refuse_empty_question(messages: Any):
    questions = [_field(message, "content") for message in messages if _field(message, "role") == "user"]
    content = questions[-1] if questions else None
    parts = [{"text": content}] if isinstance(content, str) else content or []
    texts = [text for part in parts if isinstance(text := _field(part, "text"), str)]
    if texts and not any(text.strip() for text in texts):
        raise ValueError(f"The question, which is the text of the last user message, must not be empty, got {texts}.")


def _video_settings(image_processor: Any) -> dict[str, Any]:
    """Return the settings that the backbone expects for patches of images and of videos alike."""
    names = ("image_mean", "image_std", "merge_size", "patch_size", "temporal_patch_size")
    settings = {"video_processor_type": "Qwen2VLVideoProcessor"}
    for name in names:
        value = getattr(image_processor, name)
        settings[name] = list(value) if isinstance(value, tuple) else value  # as it is after saving
    return settings


def _load_images(images: Any, keeps_arrays: bool) -> Any:
    """Open pictures at any depth of nested lists; a batch in one array is a list."""
    if isinstance(images, (list, tuple)):
        return [_load_images(image, keeps_arrays) for image in images]
    if isinstance(images, (np.ndarray, torch.Tensor)):
        if keeps_arrays:
            return images
        if images.ndim == 4:
            return [_load_images(image, keeps_arrays) for image in images]
    return load_image(images, urls=True, max_aspect_ratio=MAX_ASPECT_RATIO) if is_picture(images) else images


__all__ = ["CoMemProcessor"]
