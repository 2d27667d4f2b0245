"""Keys that are known, and those that are not."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any


def refuse_unknown_keys(keys: Iterable[Any], known: Sequence[str], what: str) -> None:
    """Raise a `ValueError` for the first key that is not known, which names the nearest one.

    Args:
        keys (`Iterable`): The keys.
        known (`Sequence[str]`): Those that may be there.
        what (`str`): What has the keys, in the message.
    """
    for key in keys:
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            way_out = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
            raise ValueError(f"{key!r} is no key of {what}: {way_out}")
