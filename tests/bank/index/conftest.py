"""What the tests of this folder share."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from comem_hf.bank.index.build_index import StoredEmbeddings
from comem_hf.bank.index.index import unit_rows


SIZE = 16


NUMBER = 3000


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Clusters, of vectors of different lengths."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((30, SIZE))
    return (centres[random.integers(0, 30, NUMBER)] + 0.4 * random.standard_normal((NUMBER, SIZE))).astype(np.float32)


@pytest.fixture(scope="module")
def embeddings(vectors, tmp_path_factory) -> StoredEmbeddings:
    folder = tmp_path_factory.mktemp("embeddings")
    paths = []
    for start in range(0, NUMBER, 700):
        paths.append(folder / f"{start}.safetensors")
        save_file({"embeddings": vectors[start : start + 700]}, paths[-1])
    return StoredEmbeddings(paths)


METRICS = ("cosine", "l2")


def exact(queries, vectors, metric: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and rows of the nearest vectors, by definition."""
    if metric == "cosine":
        scores = unit_rows(queries) @ unit_rows(vectors).T
    else:
        scores = -np.linalg.norm(queries[:, None] - vectors[None], axis=-1)
    rows = np.argsort(-scores, axis=1)[:, :k]
    return np.take_along_axis(scores, rows, axis=1), rows


def recall(found, expected) -> float:
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), expected.tolist(), strict=True)])
