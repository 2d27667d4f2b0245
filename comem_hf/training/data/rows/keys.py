"""The keys of rows: those that are read, those that mean the same, and those that are nearly right."""

from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, NamedTuple


READ = (
    "image",
    "question",
    "answer",
    "conversations",
    "messages",
    "memories",
    "knowledge_image",
    "knowledge_conversations",
    "system",
    "entity",
    "entity_id",
)
"""The keys that rows are read by."""

SAME = {
    "images": "image",
    "image_path": "image",
    "image_paths": "image",
    "system_prompt": "system",
}
"""Other keys that are read, with the key that each stands for."""

_ITEMS = "`memories`"
_TEXTS = "`answer` for what is learned, or `text` inside `memories` for what is known about a picture"
# Words that cannot be what they say beside what is read.
_REFUSED = {
    "memory": _ITEMS,
    "memory_items": _ITEMS,
    "knowledge": _ITEMS,
    "knowledges": _ITEMS,
    "caption": _TEXTS,
    "captions": _TEXTS,
    "image_url": "`image`, for a file of this machine",
    "image_urls": "`image`, for files of this machine",
    "img": "`image`",
    "picture": "`image`",
    "pictures": "`image`",
    "videos": "`image`: videos are not read",
    "video": "`image`: videos are not read",
    "audios": "`image`: sounds are not read",
    "audio": "`image`: sounds are not read",
    "tools": "`system`: tools are not read",
}
# Words that other tools have for the same thing: refused where that is missing, else something of the user's own.
_WORDS = {
    "prompt": "question",
    "instruction": "question",
    "query": "question",
    "input": "question",
    "response": "answer",
    "completion": "answer",
    "output": "answer",
    "label": "answer",
    "target": "answer",
    "dialog": "conversations",
    "dialogue": "conversations",
    "turns": "conversations",
    "items": "memories",
    "documents": "memories",
    "passages": "memories",
    "contexts": "memories",
    "context": "memories",
    "retrieved": "memories",
    "evidence": "memories",
}
_TURNS = ("conversations", "messages")
_PUBLISHED_ITEMS = ("knowledge_image", "knowledge_conversations")
# What is said about a picture or a question, not the picture or question itself.
_ABOUT = ("_id", "_ids", "_type", "_source", "_index", "_split", "_name", "_width", "_height", "_size", "_hash")
_NEAR = 0.8


class Keys(NamedTuple):
    """What is done with each key of a row."""

    names: dict[str, str]
    """The key that each key that is read stands for."""
    refused: dict[str, str]
    """Keys that are refused if they have a value, with what would be right."""
    unread: tuple[str, ...]
    """The others, which nobody reads."""


@lru_cache(maxsize=1024)
def sort_keys(keys: tuple[Any, ...], ignored: frozenset[str] = frozenset()) -> Keys:
    """Say what is done with the keys of a row.

    Args:
        keys (`tuple`): The keys.
        ignored (`frozenset[str]`, *optional*): Keys that are not read, whatever their names.

    Returns:
        [`Keys`]: Those that are read, that are refused, and the others.
    """
    names, refused, unread = {}, {}, []
    for key in keys:
        if key in ignored or not isinstance(key, str):
            unread.append(str(key))
        elif key in READ or key in SAME:
            names[key] = SAME.get(key, key)
        elif (meant := _meant(key, keys)) is not None:
            refused[key] = meant
        else:
            unread.append(key)
    return Keys(names, refused, tuple(unread))


def has_value(value: Any) -> bool:
    """Whether a field says anything: tables fill the fields that a row lacks with nulls."""
    if isinstance(value, str):
        return bool(value) and not value.isspace()
    if isinstance(value, dict) and value.keys() <= {"bytes", "path"}:
        return any(each is not None for each in value.values())
    return value is not None and not (isinstance(value, dict | list | tuple) and not value)


def nearest(key: str, names: tuple[str, ...]) -> str | None:
    """Return the name that a key is a misspelling of, if it is nearly one."""
    plain = _plain(key)
    ratios = {name: SequenceMatcher(None, plain, _plain(name)).ratio() for name in names}
    best = max(ratios, key=ratios.__getitem__)
    return best if ratios[best] >= _NEAR else None


def _meant(key: str, keys: tuple[Any, ...]) -> str | None:
    if key.lower() in _REFUSED:
        return _REFUSED[key.lower()]
    word = _WORDS.get(key.lower())
    if word is not None:
        instead = _PUBLISHED_ITEMS if word == "memories" else _TURNS
        return None if any(each in keys for each in (word, *instead)) else f"`{word}`"
    if key.lower().endswith(_ABOUT):
        return None
    name = nearest(key, READ + tuple(SAME))
    return name and f"`{name}`"


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(" ", "")
