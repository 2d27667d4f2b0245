"""Conversations: turns of `conversations` (ShareGPT, LLaVA) and `messages` (OpenAI, TRL, LLaMA-Factory)."""

from collections.abc import Mapping, Sequence
from typing import Any

from .content import read_content, refuse_mark, text_part
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
    for i, (turn, role) in enumerate(zip(value, _roles(row, key, value), strict=True)):
        if turn.get("tool_calls"):
            raise row.error(f"{key}[{i}].tool_calls", "is not read: calls of tools cannot be learned")
        if role == "assistant" and turn.get("weight") not in (None, 1):
            raise row.error(f"{key}[{i}].weight", f"must be 1, got {short(turn['weight'])}: every answer is learned")
        name = "value" if "from" in turn and turn["from"] is not None else "content"
        content = turn.get(name)
        if role == "system" and content == "":
            continue
        where = f"{key}[{i}].{name}"
        content = read_content(row, content, where, role, memories)
        if role != "user" and key != "knowledge_conversations":  # texts of items may say anything
            refuse_mark(row, content[0]["text"], where)
        messages.append({"role": role, "content": content})
    return with_system(row, messages)


def with_system(row: Row, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the text of the field `system`, if there is one, into a turn before the others."""
    text = row.fields.get("system")
    if text is None:
        return messages
    if messages[0]["role"] == "system":
        raise row.error("system", "is given beside a turn of the system; leave one out")
    text = row.text(text, "system")
    refuse_mark(row, text, "system")
    return [{"role": "system", "content": [text_part(text)]}, *messages]


def _roles(row: Row, key: str, turns: Sequence[Any]) -> list[str]:
    """Return whose turn each is.

    Raises:
        ValueError: If they do not take turns, or the last is no answer.
    """
    roles, before = [], None
    for i, turn in enumerate(turns):
        place = f"{key}[{i}]"
        if not isinstance(turn, Mapping):
            raise row.error(
                place, f'must be an object with "from" and "value" or "role" and "content", got {short(turn)}'
            )
        said = turn.get("from") if turn.get("from") is not None else turn.get("role")
        role = ROLES.get(said) if isinstance(said, str) else None
        if role is None:
            raise row.error(place, f"is from {short(said)}, which is none of {', '.join(ROLES)}")
        if (
            role == "system"
            and i
            or role == "user"
            and roles[-1:] == ["user"]
            or role == "assistant"
            and roles[-1:] != ["user"]
        ):
            after = f"after {before!r}" if i else "and the first"
            raise row.error(place, f"(turn {i + 1}) is from {said!r} {after}; human and gpt must take turns")
        roles.append(role)
        before = said
    if roles[-1] != "assistant":
        raise row.error(key, f"must end with an answer, but the last turn ({len(turns)}) is from {before!r}")
    return roles
