"""Fitting the probabilities of a bank's hits, and measuring how good they are."""

import numpy as np
from transformers.utils import logging

from comem_hf.bank.encoding.embedder import Embedder
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.index.index import Index, Selection
from comem_hf.bank.scores.calibration import KINDS, MIN_ITEMS, Calibration
from comem_hf.bank.scores.logistic import fit_logistic, logistic

from .pictures import embed_queries
from .search_outcomes import Samples, search_outcomes


LEAST_PICTURES = 64
MOST_PICTURES = 256  # three numbers are fitted, which gain little by more
ITEMS_PER_PICTURE = 4  # else the fit would take as long as a small part of the build
FOLDS = 5
BINS = 20


def fit_calibration(
    index: Index,
    items: StoredItems,
    live: np.ndarray | None,
    embedder: Embedder,
    metric: str,
    batch_size: int,
    pictures: int | None = None,
) -> Calibration:
    """Fit the probability that a hit shows the same thing as the picture that was searched for.

    A disturbed picture of each sampled item is searched for with that item in the bank and without it, and for each
    third item there is a picture of nothing: of seven queries, the bank knows three. The first three hits of each
    query are samples of the same weight, so a probability holds for hits of such a mixture. Brier score and AUC are of
    first hits alone and leave out the pictures of nothing: of those queries, the bank knows one of two.

    Args:
        index (`Index`): The bank's index.
        items (`StoredItems`): The bank's items.
        live (`np.ndarray`, *optional*): Which rows are not removed, bool of shape (rows,); all if not given.
        embedder (`Embedder`): The bank's embedder, its model in eval mode.
        metric (`str`): The bank's metric.
        batch_size (`int`): Pictures per pass of the embedder.
        pictures (`int`, *optional*): Items to sample; if not given, a quarter, but from 64 to 256.

    Raises:
        ValueError: If there are too few items with pictures, or the embedder does not tell them apart; a part of a
            sentence.
    """
    rows = np.arange(len(index)) if live is None else np.flatnonzero(live)
    if len(rows) < MIN_ITEMS:
        raise ValueError(f"the bank has {len(rows)} items, and at least {MIN_ITEMS} with pictures are needed")
    wanted = min(max(LEAST_PICTURES, len(rows) // ITEMS_PER_PICTURE), MOST_PICTURES) if pictures is None else pictures
    wanted = min(wanted, len(rows))
    with logging.tqdm(total=wanted, unit="item", desc="Calibrating scores") as progress:
        queries = embed_queries(items, rows, wanted, embedder, batch_size, progress.update)
        among = None if live is None else Selection.of(live)
        samples, floor = search_outcomes(queries, index, among, items, metric)
    found_pictures = len(np.unique(samples.queries[~samples.nothing]))
    if found_pictures < MIN_ITEMS:
        raise ValueError(f"{found_pictures} items with pictures were found, and at least {MIN_ITEMS} are needed")
    is_other = ~samples.same & ~samples.nothing & samples.first
    if not (samples.same & samples.first).any() or not is_other.any():
        raise ValueError("the embedder does not tell the items' pictures apart")
    weights = fit_logistic(samples.features, samples.same)
    first, found = _cross_validated(samples)
    kinds = dict(zip(KINDS, (samples.same[first], is_other[first], samples.nothing[first]), strict=True))
    of_things = ~kinds["nothing"]
    scores = samples.scores[first]
    return Calibration(
        weights=tuple(weights.tolist()),
        floor=floor,
        num_items=len(rows),
        pictures=found_pictures,
        nothing=len(np.unique(samples.queries[samples.nothing])),
        brier=brier(found[of_things], kinds["same"][of_things]),
        auc=auc(found[kinds["same"]], found[kinds["other"]]),
        histograms={
            "score": _histogram(scores, kinds, float(scores.min()), float(scores.max())),
            "probability": _histogram(found, kinds, 0.0, 1.0),
        },
    )


def brier(probabilities: np.ndarray, happened: np.ndarray) -> float:
    """Return the mean squared error of probabilities; always saying 0.5 gives 0.25."""
    return float(np.square(probabilities - happened).mean())


def auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Return how often a positive has a higher value than a negative, ties counted half."""
    higher = (positives[:, None] > negatives).mean()
    return float(higher + 0.5 * (positives[:, None] == negatives).mean())


def _cross_validated(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Places of the first hits, and their probabilities by fits to the pictures of other items."""
    first = np.flatnonzero(samples.first)
    found = np.empty(len(first))
    fold = samples.queries % FOLDS
    for number in range(FOLDS):
        others = fold != number
        chosen = fold[first] == number
        if not chosen.any():
            continue
        same = samples.same[others]
        if same.all() or not same.any():
            raise ValueError("too few disturbed pictures find their items")
        weights = fit_logistic(samples.features[others], same)
        found[chosen] = logistic(samples.features[first[chosen]], weights)
    return first, found


def _histogram(values: np.ndarray, kinds: dict[str, np.ndarray], low: float, high: float) -> dict:
    # The scores may be equal.
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = {kind: np.histogram(values[chosen], edges)[0].tolist() for kind, chosen in kinds.items()}
    return {"low": float(edges[0]), "high": float(edges[-1]), **counts}
