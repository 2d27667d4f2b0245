"""What the queries of a calibration find, and which of it shows the same thing."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from comem_hf.bank.encoding.shrinking_batch import ends_build
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.index.index import Index, Selection
from comem_hf.bank.pictures.decoding import load_record
from comem_hf.bank.scores.closeness import closeness, distances, view_distances

from .pictures import EmbeddedQueries


HITS = 3  # of a query that are samples: as many as a search returns unless it is asked for more
_FOUND = 12  # items per query, so that some are left without its own item and copies of it
_FLOOR = 0.01  # of the usual distance of a neighbour; disturbances move a picture farther than that


@dataclass(frozen=True)
class Samples:
    """Hits, each with what is known of it.

    Args:
        features (`np.ndarray`): As [`closeness`] gives them, shape (samples, 2).
        same (`np.ndarray`): Whether the hit shows the same thing as the query, bool.
        nothing (`np.ndarray`): Whether the query was a picture of nothing, bool.
        first (`np.ndarray`): Whether it is the first hit of its query, bool.
        scores (`np.ndarray`): Raw scores.
        queries (`np.ndarray`): Number of the query, int; a picture with and without its item in the bank has one.
    """

    features: np.ndarray
    same: np.ndarray
    nothing: np.ndarray
    first: np.ndarray
    scores: np.ndarray
    queries: np.ndarray


def search_outcomes(
    queries: Iterable[EmbeddedQueries], index: Index, among: Selection | None, items: StoredItems, metric: str
) -> tuple[Samples, float]:
    """Search for queries as users do, and for each picture also as if the bank did not hold its item.

    An item whose picture is the same as that of the query's item counts as the same thing.

    Args:
        queries (`Iterable[EmbeddedQueries]`): The queries.
        index (`Index`): The bank's index.
        among (`Selection`, *optional*): Rows that are not removed; all if not given.
        items (`StoredItems`): The bank's items.
        metric (`str`): The bank's metric.

    Returns:
        `tuple[Samples, float]`: The samples, and the `floor` of distances (see [`closeness`]).

    Raises:
        ValueError: If nothing was found.
    """
    own, scores, rows, moved = [], [], [], []
    for part in queries:
        found_scores, found_rows = index.search(part.embeddings, _FOUND, among)
        own.append(part.rows)
        scores.append(found_scores)
        rows.append(found_rows)
        moved.append(view_distances(part.embeddings, part.views, metric))
    if not own:
        raise ValueError("the embedder embeds none of the items' pictures")
    own, scores, rows, moved = map(np.concatenate, (own, scores, rows, moved))
    gaps = distances(scores, metric)
    is_other = (rows >= 0) & (rows != own[:, None])
    floor = _FLOOR * float(np.median(gaps[is_other])) or float(np.finfo(np.float32).eps)
    same = _same_things(own, gaps, rows, items, floor)
    everything = np.arange(len(own))
    parts = [_samples(scores, rows, same, own < 0, moved, metric, floor, everything)]
    pictures = np.flatnonzero(own >= 0)
    left = np.argsort(same[pictures], axis=1, kind="stable")  # those of the same thing come last, and are taken away
    without = np.take_along_axis(np.where(same[pictures], -1, rows[pictures]), left, axis=1)
    its_scores = np.take_along_axis(scores[pictures], left, axis=1)
    none = np.zeros_like(same[pictures])
    parts.append(_samples(its_scores, without, none, own[pictures] < 0, moved[pictures], metric, floor, pictures))
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Samples.__dataclass_fields__}
    return Samples(**joined), floor


def _samples(scores, rows, same, nothing, moved, metric: str, floor: float, numbers: np.ndarray) -> Samples:
    """Samples of the first hits of queries, whose neighbours are given."""
    near = distances(scores, metric)
    features = closeness(near[:, :HITS], rows[:, :HITS], near, rows, moved, floor)
    good = (rows[:, :HITS] >= 0) & np.isfinite(features).all(axis=2)
    places, ranks = np.nonzero(good)
    return Samples(
        features[places, ranks],
        same[places, ranks],
        nothing[places],
        ranks == 0,
        scores[places, ranks].astype(np.float64),
        numbers[places],
    )


def _same_things(own, gaps, rows, items: StoredItems, floor: float) -> np.ndarray:
    """Which of the found rows are the query's own item, or have the same picture; bool, shape of `rows`."""
    same = (rows == own[:, None]) & (own >= 0)[:, None]
    for query in np.flatnonzero(same.any(axis=1)):
        near = np.abs(gaps[query] - gaps[query][same[query]][0]) <= floor
        others = np.flatnonzero(near & ~same[query] & (rows[query] >= 0))
        if len(others):
            record, *records = items.read_records([int(own[query]), *rows[query][others].tolist()])
            same[query, others] = [_same_picture(record, other) for other in records]
    return same


def _same_picture(one: ItemRecord, other: ItemRecord) -> bool:
    if one.image == other.image or other.image is None:
        return other.image is not None
    try:
        pictures = [load_record(record).image for record in (one, other)]
    except Exception as error:
        if ends_build(error):
            raise
        return False
    return pictures[0].size == pictures[1].size and pictures[0].tobytes() == pictures[1].tobytes()
