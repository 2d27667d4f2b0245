"""Messages of lmms-eval, as conversations of our models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from comem_hf.modeling.picture_comem import load_image


@dataclass(frozen=True)
class Conversation:
    """The messages of one request.

    Args:
        messages (`list[dict]`): The messages, with `{"type": "image"}` where a picture is.
        pictures (`list[PIL.Image.Image]`): The pictures, in the order of the messages.
        question (`str`): The text of the last message of the user.
    """

    messages: list[dict[str, Any]]
    pictures: list[Image.Image]
    question: str


def read_messages(messages: Sequence[Mapping[str, Any]], name: str, *, picture_first: bool) -> Conversation:
    """Turn the messages of a request into a conversation, with its pictures opened.

    Args:
        messages (`Sequence[Mapping]`): The messages, as a task's `doc_to_messages` makes them.
        name (`str`): Name of the request in error messages.
        picture_first (`bool`): Whether the pictures of a message come before its text. Where pictures stand between
            texts, they stay.

    Raises:
        ValueError: If a message has a video or sound, or a picture cannot be opened.
    """
    turns, pictures, question = [], [], ""
    for message in messages:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        for part in parts:
            if part["type"] not in ("text", "image"):
                raise ValueError(
                    f"The model `comem` takes pictures and text, but {name} has a part of type {part['type']!r}: "
                    "choose tasks without video and sound."
                )
        # Each part stays where the task has it, unless the pictures all stand at the beginning.
        images = [part for part in parts if part["type"] == "image"]
        texts = [part for part in parts if part["type"] == "text"]
        if not picture_first and parts == [*images, *texts]:
            parts = [*texts, *images]
        pictures += [load_image(part["url"], f"the picture of {name}", urls=True) for part in images]
        turns.append(
            {
                "role": message["role"],
                "content": [{"type": "image"} if part["type"] == "image" else dict(part) for part in parts],
            }
        )
        if message["role"] == "user":
            question = "\n".join(part["text"] for part in texts)
    return Conversation(turns, pictures, question)
