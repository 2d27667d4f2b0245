"""Searching a memory bank: from pictures and texts to hits."""

import operator
from collections.abc import Sequence

import numpy as np

from .config import BankConfig
from .embedder import BackboneEmbedder, Embedder, ModelEmbedder
from .hit import MemoryHit
from .index import Index, unit_rows
from .items import StoredItems


class BankSearch:
    """Embeds queries and finds the items of a bank that are nearest to them.

    Args:
        config (`BankConfig`): Of the bank.
        index (`Index`): From embeddings to rows.
        items (`StoredItems`): From rows to items.
    """

    def __init__(self, config: BankConfig, index: Index, items: StoredItems):
        self.config = config
        self.index = index
        self.items = items
        self.state = config.state
        self._embedder: Embedder | None = None

    def attach(self, model=None, processor=None, embedder: Embedder | None = None) -> None:
        """See [`MemoryBank.attach`]."""
        settings = self.config.embedder
        if embedder is None and settings["type"] == BackboneEmbedder.type:
            if model is None or processor is None:
                raise ValueError("A bank with the embedder 'backbone' needs both: `attach(model, processor)`.")
            options = {name: settings[name] for name in ("grid", "layer") if name in settings}
            embedder = BackboneEmbedder(model, processor, **options)
        if embedder is not None:
            if embedder.settings != settings:
                raise ValueError(f"The bank was made with the embedder {settings}, got {embedder.settings}.")
            self._embedder = embedder

    def search(self, image, text: str | Sequence[str] | None, k: int) -> list[MemoryHit] | list[list[MemoryHit]]:
        """See [`MemoryBank.search`]."""
        k = _positive_integer(k)
        queries, single = _as_lists(image, text)
        if not next(iter(queries.values())):
            return []
        scores, rows = self.index.search(self._embed(queries), min(k, self.config.num_items))
        found = iter(self.items.read(rows.flatten().tolist()))
        hits = [
            [
                MemoryHit(next(found), float(score), rank, int(row), self.state)
                for rank, (score, row) in enumerate(zip(query_scores, query_rows, strict=True))
            ]
            for query_scores, query_rows in zip(scores, rows, strict=True)
        ]
        return hits[0] if single else hits

    def _embed(self, queries: dict[str, Sequence]) -> np.ndarray:
        embedder = self._embedder or self._load_embedder()
        embeddings = []
        if "image" in queries:
            embeddings.append(embedder.embed_images(queries["image"]))
        if "text" in queries:
            embeddings.append(embedder.embed_texts(queries["text"]))
        mean = np.mean(
            [unit_rows(each) for each in embeddings] if self.config.metric == "cosine" else embeddings, axis=0
        )
        if mean.shape[1] != self.config.embedding_size:
            raise ValueError(
                f"The embedder gives {mean.shape[1]} numbers per query, the bank holds {self.config.embedding_size}."
            )
        return mean

    def _load_embedder(self) -> Embedder:
        settings = self.config.embedder
        if settings["type"] == BackboneEmbedder.type:
            raise ValueError(
                "This bank is searched with the vision tower of the model that made it: call "
                "`bank.attach(model, processor)` first."
            )
        if not settings.get("id"):
            raise ValueError("This bank's embedder has no name to load it by: call `bank.attach(embedder=...)` first.")
        self._embedder = ModelEmbedder.from_pretrained(settings["id"], settings["revision"])
        return self._embedder


def _positive_integer(k) -> int:
    try:
        number = 0 if isinstance(k, bool) else operator.index(k)  # of numpy's integers too
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"`k` must be a positive integer, got {k!r}.")
    return number


def _as_lists(image, text) -> tuple[dict[str, Sequence], bool]:
    """The queries that are given, as lists of one length, and whether they were single ones."""
    queries = {name: query for name, query in (("image", image), ("text", text)) if query is not None}
    if not queries:
        raise ValueError("Nothing to search for: give `image` or `text`.")
    single = not isinstance(next(iter(queries.values())), (list, tuple))
    if single:
        queries = {name: [query] for name, query in queries.items()}
    lengths = {len(query) if isinstance(query, (list, tuple)) else None for query in queries.values()}
    if len(lengths) > 1:
        raise ValueError("`image` and `text` must both be single queries or lists of the same length.")
    return queries, single
