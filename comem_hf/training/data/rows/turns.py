"""Conversations: turns of `conversations` (ShareGPT, LLaVA) and `messages` (OpenAI, TRL, LLaMA-Factory)."""

from collections.abc import Mapping, Sequence
from typing import Any

from .content import read_content, text_part
from .row import Row, short


ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}


def read_turns(row: Row, key: str, memories: list[Any]) -> list[dict[str, Any]]:
    """Read turns that alternate, the user first and the assistant last, after one of the system if there is one.

    A turn is `{"from", "value"}` or `{"role", "content"}`, in either field.

    Args:
        row ([`Row`]): The row.
        key (`str`): The field.
        memories (`list`): Memory items in the turns are added to it.

    Returns:
        `list[dict]`: Messages, whose content is a list of parts.

    Raises:
        ValueError: If the turns are other ones; the message names the place.
    """
    value = row.objects(key)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise row.error(key, f"must be a list of human and gpt turns in pairs, got {short(value)}")
    messages = []
    has_system = _role(value[0]) == "system"
    if (len(value) - has_system) % 2 or len(value) == has_system:
        raise row.error(key, f"must be a list of human and gpt turns in pairs, got {short(value)}")
    for i, turn in enumerate(value):
        expected = "system" if i < has_system else ("user", "assistant")[(i - has_system) % 2]
        if _role(turn) != expected:
            raise row.error(f"{key}[{i}]", f'must be a turn "from" {expected!r}, got {short(turn)}')
        if turn.get("tool_calls"):
            raise row.error(f"{key}[{i}].tool_calls", "is not read: calls of tools cannot be learned")
        name = "value" if "from" in turn and turn["from"] is not None else "content"
        content = turn.get(name)
        if expected == "system" and content == "":
            continue
        where = f"{key}[{i}].{name}"
        messages.append({"role": expected, "content": read_content(row, content, where, expected, memories)})
    return with_system(row, messages)


def with_system(row: Row, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the text of the field `system`, if there is one, into a turn before the others."""
    text = row.fields.get("system")
    if text is None:
        return messages
    if messages[0]["role"] == "system":
        raise row.error("system", "is given beside a turn of the system; leave one out")
    return [{"role": "system", "content": [text_part(row.text(text, "system"))]}, *messages]


def _role(turn: Any) -> str | None:
    if not isinstance(turn, Mapping):
        return None
    role = turn.get("from") if turn.get("from") is not None else turn.get("role")
    return ROLES.get(role) if isinstance(role, str) else None
