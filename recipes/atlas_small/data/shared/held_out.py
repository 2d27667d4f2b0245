"""Which things are set apart from training, alike ones on the same side."""

import random
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar


NUM_HELD_OUT = 48  # at least, of each topic
Thing = TypeVar("Thing")


def split_apart(
    things: list[Thing], are_near: Callable[[int, int], bool], seed: int
) -> tuple[list[Thing], list[Thing]]:
    """Split things into (train, held-out); near ones, and those near to them, stay together.

    Args:
        things (`list`): Things with an `id`.
        are_near (`Callable[[int, int], bool]`): Whether the pictures of two things, given by their places, are near.
        seed (`int`): Seed of the split.
    """
    group = list(range(len(things)))

    def root(number: int) -> int:
        while group[number] != number:
            number = group[number]
        return number

    for one in range(len(things)):
        for other in range(one):
            if are_near(one, other):
                group[root(one)] = root(other)
    groups = defaultdict(list)
    for number, thing in enumerate(things):
        groups[root(number)].append(thing)
    shuffled = sorted(groups.values(), key=lambda members: members[0].id)
    random.Random(seed).shuffle(shuffled)
    train, held_out = [], []
    for members in shuffled:
        (held_out if len(held_out) < NUM_HELD_OUT else train).extend(members)
    return train, held_out
