"""Rows to train on, and rows held out: no entity, and no picture, is on both sides."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .candidate import Candidate
from .draw import draw


_BLOCK = 1024  # rows that are compared with all others at a time


def split(
    candidates: Sequence[Candidate],
    held_out: float,
    seed: int,
    sides: Mapping[str, str | None],
    similar: Sequence[tuple[str, str]] = (),
) -> list[Candidate]:
    """Put each candidate on a side.

    Candidates of the same entity or the same picture stay together, and so do those of similar pictures; of what is
    connected in this way, the seed holds out a share. A group of which a source says its side goes there.

    Args:
        candidates (`Sequence[Candidate]`): The candidates of all sources, with pictures.
        held_out (`float`): Share of the groups that is held out.
        seed (`int`): The seed.
        sides (`Mapping[str, str | None]`): The side of each source, `None` where the seed decides.
        similar (`Sequence[tuple[str, str]]`, *optional*): Pairs of SHA-256 of pictures that belong together.

    Raises:
        ValueError: If an entity or picture is in a source to train on and in one that is held out.
    """
    groups = _groups(candidates, similar)
    free, of_group = [], {}
    for name, members in groups.items():
        wanted = {sides[candidates[place].source] for place in members} - {None}
        if len(wanted) > 1:
            _refuse([candidates[place] for place in members], sides)
        if wanted:
            of_group[name] = wanted.pop()
        else:
            free.append(name)
    kept_back = set(draw(free, round(held_out * len(free)), seed, "held out", str))
    side = {
        place: of_group.get(name) or ("held_out" if name in kept_back else "train")
        for name, members in groups.items()
        for place in members
    }
    return [replace(candidate, side=side[place]) for place, candidate in enumerate(candidates)]


def similar_pairs(digests: Sequence[str], embeddings: np.ndarray, least: float) -> list[tuple[str, str]]:
    """Return the pairs of pictures whose embeddings have at least a cosine similarity.

    Args:
        digests (`Sequence[str]`): A name of each picture.
        embeddings (`np.ndarray` of shape `(pictures, numbers)`): Their embeddings.
        least (`float`): Least cosine similarity of a pair.
    """
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    pairs = []
    for start in range(0, len(unit), _BLOCK):
        first, second = np.nonzero(unit[start : start + _BLOCK] @ unit.T >= least)
        found = zip(first + start, second, strict=True)
        pairs += [(digests[one], digests[two]) for one, two in found if one < two]
    return pairs


def _groups(candidates: Sequence[Candidate], similar: Sequence[tuple[str, str]]) -> dict[str, list[int]]:
    """The places of the candidates that belong together, by the least entity of each group."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for one, other in _links(candidates, similar):
        ends = sorted((root(one), root(other)))
        parent[ends[1]] = ends[0]
    groups = defaultdict(list)
    for place, candidate in enumerate(candidates):
        groups[root(("entity", candidate.entity))].append(place)
    return {min(candidates[place].entity for place in members): members for members in groups.values()}


def _links(candidates: Sequence[Candidate], similar: Sequence[tuple[str, str]]) -> Iterator[tuple]:
    for candidate in candidates:
        yield ("entity", candidate.entity), ("picture", candidate.picture)
    for one, other in similar:
        yield ("picture", one), ("picture", other)


def _refuse(members: Sequence[Candidate], sides: Mapping[str, str | None]) -> None:
    by_side = {side: next(each for each in members if sides[each.source] == side) for side in ("train", "held_out")}
    train, held_out = by_side["train"], by_side["held_out"]
    shared = {each.entity for each in members if sides[each.source] == "train"} & {
        each.entity for each in members if sides[each.source] == "held_out"
    }
    what = f"The entity {min(shared)!r} is" if shared else f"The pictures of {train.id!r} and {held_out.id!r} are"
    raise ValueError(
        f"{what} on both sides of the split: in source {train.source!r} to train on, and in source "
        f"{held_out.source!r}, which is held out. Take such questions out of one of them."
    )
