"""Queries that the user has embedded."""

from typing import Any

import numpy as np


def query_vectors(vector: Any, image: Any, text: Any, size: int) -> tuple[np.ndarray, bool]:
    """Read the vectors to search for.

    Args:
        vector: An array, tensor or list of numbers, of shape (size,), or (queries, size) for several queries.
        image, text: What else is searched for; must be `None`.
        size (`int`): Length of the bank's embeddings.

    Returns:
        `tuple[np.ndarray, bool]`: The vectors, float32 of shape (queries, size), and whether it was a single one.

    Raises:
        ValueError: If they are of another shape, not finite, or not all that is searched for.
    """
    if image is not None or text is not None:
        raise ValueError("`vector` stands for a query that is embedded: leave out `image` and `text`, or `vector`.")
    try:
        vectors = np.asarray(vector.tolist() if hasattr(vector, "tolist") else vector, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`vector` must be numbers, got {type(vector).__name__}: {error}.") from error
    is_empty = vectors.ndim == 1 and len(vectors) == 0
    if vectors.ndim not in (1, 2) or vectors.shape[-1] != size and not is_empty:
        raise ValueError(
            f"`vector` must have the shape ({size},), or (queries, {size}) for several, as the bank's embeddings have "
            f"{size} numbers, got {vectors.shape}."
        )
    if not np.isfinite(vectors).all():
        raise ValueError("`vector` has numbers that are not finite.")
    return vectors.reshape(-1, size), vectors.ndim == 1 and not is_empty
