"""One training sample, and the two row formats that it is read from."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_comem import is_picture, picture_of_row, shown


ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
IMAGE_MARKER = re.compile(r"\n?<image>\n?")
PUBLISHED_MAX_CHARACTERS = 5000  # the published training cuts every message at this length


@dataclass
class TrainingSample:
    """A conversation whose assistant turns are learned, and the memory items for it.

    Args:
        messages (`list[dict]`): The conversation in chat-template form: turns
            `{"role": "user" | "assistant", "content": [...]}` that alternate, the user first and the assistant last.
        images (`list`, *optional*, defaults to `[]`): The query images, in the forms that [`load_image`] takes and in
            the order in which `messages` shows them.
        memories (`list[MemoryItem]`, *optional*, defaults to `[]`): The memory items, best first.
        name (`str`, *optional*, defaults to `"the sample"`): Name of the sample in error messages.
    """

    messages: list[dict[str, Any]]
    images: list[Any] = field(default_factory=list)
    memories: list[MemoryItem] = field(default_factory=list)
    name: str = "the sample"

    @classmethod
    def from_row(
        cls, row: "Mapping[str, Any] | TrainingSample", *, base_dir: str | Path | None = None, name: str = "the sample"
    ) -> "TrainingSample":
        """Read a row in any of the accepted formats.

        An image is a path, or the picture in any form that [`load_image`] takes.

        One question: `{"image": image | list | None, "question": str, "answer": str, "memories": [...]}`.
        Several turns: `{"image": ..., "conversations": [{"from": "human" | "gpt", "value": str}, ...], "memories":
        [...]}`, where `<image>` in a human turn marks the place of an image (default: before the first turn). A memory
        is a [`MemoryItem`] or `{"image": image | None, "text": str | None}`.

        The published CoMEM format replaces `memories` by `knowledge_image` (n images) and `knowledge_conversations`
        (2n turns: human, gpt; the text of an item is its gpt turn); there, every message is cut to 5,000 characters,
        as in the published training.

        Args:
            row (`Mapping` or `TrainingSample`): The row; a sample is returned as it is. Keys that are not named above
                are ignored.
            base_dir (`str` or `Path`, *optional*): The folder that relative image paths start from.
            name (`str`, *optional*, defaults to `"the sample"`): Name of the row in error messages, for example
                `"train.jsonl, row 3"`.

        Returns:
            `TrainingSample`: The sample; images are not opened yet.

        Raises:
            ValueError: If a field is missing, empty or of the wrong kind; the message names the row and the field.
        """
        if isinstance(row, TrainingSample):
            return row
        if not isinstance(row, Mapping):
            raise ValueError(f"{name}: a row must be an object with named fields, got {type(row).__name__}.")
        reader = _RowReader(row, Path(base_dir) if base_dir is not None else None, name)
        images = reader.images("image")
        return cls(messages=reader.messages(len(images)), images=images, memories=reader.memories(), name=name)


@dataclass
class _RowReader:
    row: Mapping[str, Any]
    base_dir: Path | None
    name: str

    @property
    def is_published(self) -> bool:
        return "knowledge_image" in self.row or "knowledge_conversations" in self.row

    def images(self, key: str) -> list[Any]:
        value = self.row.get(key)
        values = value if isinstance(value, list | tuple) else [] if value is None else [value]
        return [self.image(image, f"{key}[{i}]" if value is not image else key) for i, image in enumerate(values)]

    def image(self, value: Any, where: str) -> Any:
        if not is_picture(value) or isinstance(value, str) and not value:
            raise self.error(where, f"must be a path, an image or null, got {_short(value)}")
        image = picture_of_row(value, self.base_dir or "")
        if isinstance(image, Path) and not os.path.isfile(image):
            raise self.error(where, f"names no file: {shown(str(image))}")
        return image

    def text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(where, f"must be a text that is not empty, got {_short(value)}")
        return value[:PUBLISHED_MAX_CHARACTERS] if self.is_published else value

    def turns(self, key: str) -> list[tuple[str, str]]:
        """Return the (role, text) of turns that alternate, the user first and the assistant last."""
        value = self.row.get(key)
        if not isinstance(value, Sequence) or isinstance(value, str) or not value or len(value) % 2:
            raise self.error(key, f"must be a list of human and gpt turns in pairs, got {_short(value)}")
        turns = []
        for i, turn in enumerate(value):
            expected = ("user", "assistant")[i % 2]
            if not isinstance(turn, Mapping) or ROLES.get(turn.get("from")) != expected:
                raise self.error(f"{key}[{i}]", f'must be a turn "from" {expected!r}, got {_short(turn)}')
            turns.append((expected, self.text(turn.get("value"), f"{key}[{i}].value")))
        return turns

    def messages(self, num_images: int) -> list[dict[str, Any]]:
        if "conversations" not in self.row:
            question, answer = (self.text(self.row.get(key), key) for key in ("question", "answer"))
            content = [{"type": "image"}] * num_images + [{"type": "text", "text": question}]
            return [_message("user", content), _message("assistant", [{"type": "text", "text": answer}])]

        turns = self.turns("conversations")
        num_markers = sum(len(IMAGE_MARKER.findall(text)) for role, text in turns if role == "user")
        if num_markers not in (0, num_images):
            raise self.error("image", f"holds {num_images} images, but `conversations` shows {num_markers} <image>")
        messages = []
        for i, (role, text) in enumerate(turns):
            content = [{"type": "text", "text": text}]
            if role == "user" and num_markers:
                content = _split_at_images(text)
            elif i == 0:
                content = [{"type": "image"}] * num_images + content
            messages.append(_message(role, content))
        return messages

    def memories(self) -> list[MemoryItem]:
        if self.is_published:
            return self.published_memories()
        values = self.row.get("memories") or []
        if not isinstance(values, list | tuple):
            raise self.error("memories", f"must be a list, got {_short(values)}")
        return [self.memory(value, f"memories[{i}]") for i, value in enumerate(values)]

    def memory(self, value: Any, where: str) -> MemoryItem:
        if isinstance(value, MemoryItem):
            return value
        if not isinstance(value, Mapping):
            raise self.error(where, f'must be an object with "image" and "text", got {_short(value)}')
        image = None if value.get("image") is None else self.image(value["image"], f"{where}.image")
        try:
            return MemoryItem(image=image, text=value.get("text"))
        except ValueError as error:
            raise self.error(where, f"is no memory item ({str(error).rstrip('.')})") from error

    def published_memories(self) -> list[MemoryItem]:
        images = self.images("knowledge_image")
        turns = self.turns("knowledge_conversations") if images or self.row.get("knowledge_conversations") else []
        texts = [text for role, text in turns if role == "assistant"]
        if len(images) != len(texts):
            raise self.error("knowledge_image", f"holds {len(images)} images for {len(texts)} pairs of turns")
        return [MemoryItem(image=image, text=text) for image, text in zip(images, texts, strict=True)]

    def error(self, where: str, problem: str) -> ValueError:
        return ValueError(f"{self.name}: `{where}` {problem}.")


def _message(role: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": role, "content": content}


def _split_at_images(text: str) -> list[dict[str, Any]]:
    """Replace each `<image>`, with a line break on either side, by an image part."""
    first, *rest = IMAGE_MARKER.split(text)
    content = [{"type": "text", "text": first}]
    for part in rest:
        content += [{"type": "image"}, {"type": "text", "text": part}]
    return [part for part in content if part["type"] == "image" or part["text"]]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
