"""The queries of a calibration: disturbed pictures of the bank's own items, and pictures of nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from comem_hf.bank.encoding.embedder import Embedder
from comem_hf.bank.encoding.shrinking_batch import ShrinkingBatch, ends_build
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.pictures.decoding import load_record
from comem_hf.bank.scores.disturbances import DISTURBANCES
from comem_hf.bank.scores.nothing import picture_of_nothing
from comem_hf.bank.scores.second_view import second_view


_READ_PER_PICTURE = 4  # rows at most, where items without a picture are among them
_PICTURES_PER_NOTHING = 3
_READ_AT_ONCE = 8  # rows, with their files of pictures
_MOST_PIXELS = 1024  # per side: a picture of a camera would take a second to disturb, and is reduced anyway
_SEED = 0


@dataclass(frozen=True)
class EmbeddedQueries:
    """Embedded queries of a calibration.

    Args:
        rows (`np.ndarray`): Row of the item whose disturbed picture each query is, -1 for a picture of nothing; int64
            of shape (queries,).
        embeddings (`np.ndarray`): Float32 of shape (queries, embedding size).
        views (`np.ndarray`): Embeddings of their second views, same shape.
    """

    rows: np.ndarray
    embeddings: np.ndarray
    views: np.ndarray


def embed_queries(
    items: StoredItems, rows: np.ndarray, pictures: int, embedder: Embedder, batch_size: int, progress
) -> Iterator[EmbeddedQueries]:
    """Embed disturbed pictures of a random sample of items, the disturbances in turn, and pictures of nothing.

    A picture that cannot be read or embedded is left out. The same bank always gives the same queries.

    Args:
        items (`StoredItems`): The bank's items.
        rows (`np.ndarray`): Rows that may be sampled.
        pictures (`int`): Items to sample; of fewer, if not so many have a picture.
        embedder (`Embedder`): The bank's embedder.
        batch_size (`int`): Items at a time; queries per pass of the embedder.
        progress (`Callable[[int], object]`): Called with the number of items after each part.
    """
    order = np.random.default_rng(_SEED).permutation(rows)[: _READ_PER_PICTURE * pictures].tolist()
    disturbances = list(DISTURBANCES.values())
    batches = ShrinkingBatch(batch_size)
    count = 0
    for start in range(0, len(order), batch_size):
        queries: list[tuple[int, Image.Image]] = []
        before = count
        for row, picture in _read(items, order[start : start + batch_size]):
            if count == pictures:
                break
            queries.append((row, disturbances[count % len(disturbances)](picture)))
            if count % _PICTURES_PER_NOTHING == 0:
                queries.append((-1, picture_of_nothing(count // _PICTURES_PER_NOTHING, picture.size)))
            count += 1
        views = [picture for _, picture in queries] + [second_view(picture) for _, picture in queries]
        parts = batches.apply(lambda part: _embed(embedder, part), views)
        vectors = [vector for part in parts for vector in part]
        pairs = zip(vectors[: len(queries)], vectors[len(queries) :], strict=True)
        good = [(row, *pair) for (row, _), pair in zip(queries, pairs, strict=True) if _is_finite(pair)]
        if good:
            yield EmbeddedQueries(*map(np.stack, zip(*good, strict=True)))
        progress(count - before)
        if count == pictures:
            return


def _is_finite(vectors: Sequence[np.ndarray | None]) -> bool:
    return all(vector is not None and np.isfinite(vector).all() for vector in vectors)


def _read(items: StoredItems, rows: list[int]) -> Iterator[tuple[int, Image.Image]]:
    for start in range(0, len(rows), _READ_AT_ONCE):
        part = rows[start : start + _READ_AT_ONCE]
        for row, record in zip(part, items.read_records(part), strict=True):
            if record.image is None:
                continue
            try:
                picture = load_record(record, [_half]).image
            except Exception as error:  # an older version may have stored what this one cannot read
                if ends_build(error):
                    raise
                continue
            picture.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
            yield row, picture


def _half(size: tuple[int, int]) -> tuple[int, int]:
    return _MOST_PIXELS // 2, _MOST_PIXELS // 2  # photographs come out of their decoder with twice so many or more


def _embed(embedder: Embedder, pictures: Sequence[Image.Image]) -> list[np.ndarray | None]:
    """Embed pictures together, or one by one if that fails: a disturbance may make one too narrow, for instance."""
    try:
        return list(embedder.embed_images(list(pictures)))
    except Exception as error:
        if ends_build(error) or len(pictures) == 1 and not isinstance(error, ValueError):
            raise
        if len(pictures) == 1:
            return [None]
    return [vector for picture in pictures for vector in _embed(embedder, [picture])]
