"""How near a hit is to its query, beside what else is near to it."""

import numpy as np


NEIGHBOURS = 2  # of a query: the nearest item, and for that one the next
NUM_FEATURES = 2


def distances(scores: np.ndarray, metric: str) -> np.ndarray:
    """Return the Euclidean distances that scores of a search stand for; of unit vectors for cosines.

    Args:
        scores (`np.ndarray`): Cosine similarities, or minus distances, of any shape.
        metric (`str`): `"cosine"` or `"l2"`.
    """
    scores = np.asarray(scores, dtype=np.float64)
    return np.sqrt(np.maximum(2 - 2 * scores, 0)) if metric == "cosine" else np.maximum(-scores, 0)


def view_distances(queries: np.ndarray, views: np.ndarray, metric: str) -> np.ndarray:
    """Return the distance of each query from its second view, shape (queries,), from embeddings (queries, size)."""
    if metric == "cosine":
        queries, views = (each / np.maximum(np.linalg.norm(each, axis=1)[:, None], 1e-12) for each in (queries, views))
    return np.linalg.norm(queries.astype(np.float64) - views, axis=1)


def closeness(
    hit_distances: np.ndarray,
    hit_rows: np.ndarray,
    near_distances: np.ndarray,
    near_rows: np.ndarray,
    own_distances: np.ndarray,
    floor: float,
) -> np.ndarray:
    """Compare the distance of each hit with that of the nearest other item, and with that of a second view.

    A score alone says little: noise has a cosine of 0.97 with a plain flag. The features are logarithms of ratios of
    distances, so that they do not depend on how alike all items of a bank are. The first is by how much the nearest
    other item is farther from the query than the hit: the test of Lowe, "Distinctive image features from
    scale-invariant keypoints" (IJCV 2004), section 7.1. The second is by how much the query itself moves when it is
    framed a little closer ([`second_view`]): a picture of stripes moves far, so that its item may be far from it,
    and noise does not move at all.

    Args:
        hit_distances (`np.ndarray`): Distances of the hits, shape (queries, hits).
        hit_rows (`np.ndarray`): Their rows, same shape.
        near_distances (`np.ndarray`): Distances of the nearest items of each query, nearest first, shape (queries, 2
            or more); hits may be among them.
        near_rows (`np.ndarray`): Their rows, same shape; -1 where there is none.
        own_distances (`np.ndarray`): Distances of the queries from their second views, shape (queries,).
        floor (`float`): Added to all distances, more than 0: a distance of 0 has no logarithm.

    Returns:
        `np.ndarray`: Float64 of shape (queries, hits, 2); NaN for hits of queries without another item.
    """
    others = (near_rows[:, None, :] != hit_rows[:, :, None]) & (near_rows >= 0)[:, None, :]
    nearest = np.where(others, near_distances[:, None, :], np.inf).min(axis=2, initial=np.inf)
    nearest = np.where(others.any(axis=2), nearest, np.nan)
    own = np.broadcast_to(own_distances[:, None], hit_rows.shape)
    return np.log(np.stack([nearest, own], axis=2) + floor) - np.log(hit_distances + floor)[..., None]
