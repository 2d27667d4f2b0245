"""Reciprocal rank fusion: one list of hits out of a list by picture and a list by words."""

import numpy as np


RANK_OFFSET = 60  # of Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion", SIGIR 2009
CANDIDATES = 50  # of each list, or as many as there shall be hits

PICTURE, TEXT, VECTOR, WORDS = "picture", "text", "vector", "words"
BOTH = "{} and {}"


def fused(
    by_picture: np.ndarray, by_words: np.ndarray, words_weight: float, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of two lists by the sum of weight / (60 + rank), where ranks count from 1.

    Scores of pictures and of words cannot be compared; their ranks can. Of rows with the same sum, the one that is
    first by picture, and then by words, comes first. A list of no weight adds no rows.

    Args:
        by_picture, by_words (`np.ndarray`): Rows, best first, int64 of shape (candidates,); -1 stands for no row.
        words_weight (`float`): Weight of the words, 0 to 1; the picture has the rest.
        k (`int`): Most rows.

    Returns:
        `tuple[np.ndarray, np.ndarray, np.ndarray]`: Sums, rows and `"picture"`, `"words"` or `"picture and words"`,
        by what each was found; best first.
    """
    sums: dict[int, float] = {}
    sources: dict[int, str] = {}
    for rows, weight, source in ((by_picture, 1 - words_weight, PICTURE), (by_words, words_weight, WORDS)):
        for rank, row in enumerate(rows[rows >= 0].tolist() if weight else (), 1):
            sums[row] = sums.get(row, 0.0) + weight / (RANK_OFFSET + rank)
            sources[row] = BOTH.format(PICTURE, WORDS) if row in sources else source
    best = sorted(sums, key=sums.get, reverse=True)[:k]  # a stable order: rows stand as they came
    scores, found_by = [sums[row] for row in best], [sources[row] for row in best]
    return np.array(scores), np.array(best, dtype=np.int64), np.array(found_by)
