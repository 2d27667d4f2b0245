"""Drawing by a seed: the same of the same ids, in whatever order and on whatever machine."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar


T = TypeVar("T")


def draw(things: Sequence[T], count: int | None, seed: int, name: str, id_of: Callable[[T], str]) -> list[T]:
    """Draw some things, and keep their order.

    Args:
        things (`Sequence`): What to draw from.
        count (`int`, *optional*): Number to draw; all if not given, or if there are fewer.
        seed (`int`): The seed.
        name (`str`): Name of this draw: others of the same seed do not depend on it.
        id_of (`Callable[[T], str]`): Gives the id of a thing.
    """
    if count is None or count >= len(things):
        return list(things)
    ranked = sorted(range(len(things)), key=lambda place: (rank(seed, name, id_of(things[place])), place))
    return [things[place] for place in sorted(ranked[:count])]


def rank(seed: int, name: str, thing: str) -> bytes:
    """Return the place of a thing in a random order, as bytes that compare."""
    return hashlib.sha256(f"{seed}\n{name}\n{thing}".encode()).digest()
