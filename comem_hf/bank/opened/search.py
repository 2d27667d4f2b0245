"""Searching a memory bank: from pictures and texts to hits."""

import numbers
import operator
from collections.abc import Mapping, Sequence

import numpy as np
from PIL.Image import Image

from comem_hf.bank.encoding.embedder import BackboneEmbedder, Embedder, ModelEmbedder
from comem_hf.bank.encoding.fit import refuse_other_processor
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.index.index import Index, Selection, unit_rows
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from comem_hf.bank.scores.closeness import NEIGHBOURS, view_distances
from comem_hf.bank.scores.min_score import check_min_score
from comem_hf.bank.scores.second_view import second_view
from comem_hf.bank.words.bank_words import BankWords, candidates
from comem_hf.bank.words.fusion import PICTURE, TEXT, VECTOR
from comem_hf.modeling.memory_item import FOUND_BY_PICTURE
from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO, load_image

from .chosen.among import narrowed, rows_in
from .chosen.query_vectors import query_vectors
from .hit import MemoryHit
from .metadata_filter import MetadataFilter


QUERY = "the picture to search for"
SOURCES = {"image": PICTURE, "text": TEXT, "vector": VECTOR}  # of hits, by what was searched for


class BankSearch:
    """Embeds queries and finds the items of a bank that are nearest to them.

    Args:
        config (`BankConfig`): Configuration of the bank.
        index (`Index`): Finds the rows of embeddings.
        items (`StoredItems`): Reads the items of rows.
        words (`BankWords`): Finds rows by words of texts, where the embedder has no text side.
        live (`np.ndarray`, *optional*): Which rows may be hits, bool of shape (rows,); all if not given.
    """

    def __init__(
        self,
        config: BankConfig,
        index: Index,
        items: StoredItems,
        words: BankWords,
        live: np.ndarray | None = None,
    ):
        self.config = config
        self.index = index
        self.items = items
        self.words = words
        self._live = None if live is None else Selection.of(live)
        self._filter = MetadataFilter(items, live)
        self.calibration = config.readable_calibration
        self._embedder: Embedder | None = None
        self._processor = None
        self._device = None

    def attach(self, model=None, processor=None, embedder: Embedder | None = None) -> None:
        """See [`MemoryBank.attach`]."""
        settings = self.config.embedder
        self._device = self._device if model is None else model.device
        if embedder is None and settings["type"] == BackboneEmbedder.type:
            if model is None or processor is None:
                raise ValueError("A bank with the embedder 'backbone' needs both: `attach(model, processor)`.")
            options = {name: settings[name] for name in ("grid", "layer") if name in settings}
            embedder = BackboneEmbedder(model, processor, **options)
        if embedder is not None:
            if embedder.settings != settings:
                raise ValueError(f"The bank was made with the embedder {settings}, got {embedder.settings}.")
        if processor is not None:
            refuse_other_processor(self.config, processor, "this model", str(self.items.folder))
        self._embedder = self._embedder if embedder is None else embedder
        self._processor = self._processor if processor is None else processor

    def take_over(self, other: "BankSearch") -> None:
        """Use the embedder of another state of the same bank.

        Raises:
            ValueError: If the other is a state of another bank.
        """
        for name in ("memory_fingerprint", "embedder", "metric"):
            before, now = getattr(other.config, name), getattr(self.config, name)
            if before != now:
                raise ValueError(
                    f"Another bank has replaced this one: `{name}` was {before!r} and is {now!r}; open the bank again."
                )
        self._embedder, self._processor, self._device = other._embedder, other._processor, other._device

    def search(
        self,
        image,
        text: str | Sequence[str] | None,
        k: int,
        text_weight: float,
        where: Mapping[str, object] | None,
        min_score: float | None = None,
        probabilities: bool = True,
        *,
        vector=None,
        only: Sequence[int] | None = None,
        without: Sequence[int] | None = None,
    ) -> list[MemoryHit] | list[list[MemoryHit]]:
        """See [`MemoryBank.search`]; `only` and `without` are the rows of its `ids` and `exclude`."""
        k = _positive_integer(k)
        if isinstance(text_weight, bool) or not isinstance(text_weight, numbers.Real) or not 0 <= text_weight <= 1:
            raise ValueError(f"`text_weight` must be a number from 0 to 1, got {text_weight!r}.")
        if vector is None:
            queries, single = _as_lists(image, text)
        else:
            vectors, single = query_vectors(vector, image, text, self.config.embedding_size)
            queries = {"vector": list(vectors)}
        if min_score is not None and not probabilities:
            raise ValueError(
                f"`min_score` {min_score!r} is a least probability, but `probabilities` is {probabilities!r}: leave "
                "out one of them."
            )
        self.check_min_score(min_score, by_text=list(queries) != ["image"])
        if not next(iter(queries.values())):
            return []
        if self._processor is not None:  # its settings may have been changed since it was attached
            refuse_other_processor(self.config, self._processor, "this model", str(self.items.folder), True)
        among = self._live if where is None else self._filter.select(where)
        is_narrow = where is not None or only is not None or bool(without)
        among = narrowed(among, self.config.num_rows, only, without)
        with decoder_warnings_logged(once=True):
            if "image" in queries:
                queries["image"] = self._opened(queries["image"])
            if "text" in queries and not self.embeds_text:
                scores, rows, sources = self._search_words(queries, k, text_weight, among)
                certain = np.full(rows.shape, np.nan)
            else:
                embeddings = self._embed(queries, text_weight)
                moved = None
                if probabilities and list(queries) == ["image"] and self.calibration is not None:
                    moved = self._moved(queries["image"], embeddings, min_score is not None)
                if moved is None:
                    scores, rows = self.index.search(embeddings, k, among)
                    certain = np.full(rows.shape, np.nan)
                else:
                    scores, rows, certain = self._search_and_compare(embeddings, moved, k, among, is_narrow)
                sources = np.full(rows.shape, " and ".join(SOURCES[name] for name in queries))
            if min_score is not None:
                rows = np.where(certain >= min_score, rows, -1)
            found_rows = rows[rows >= 0].tolist()
            found, digests = iter(self.items.read(found_rows)), iter(self.config.row_digests(found_rows))
        hits = [
            [
                MemoryHit(next(found), float(score), rank, int(row), next(digests), _number(probability), str(source))
                for rank, (score, row, probability, source) in enumerate(zip(*of_query, strict=True))
                if row >= 0
            ]
            for of_query in zip(scores, rows, certain, sources, strict=True)
        ]
        return hits[0] if single else hits

    def _search_words(
        self, queries: dict[str, Sequence], k: int, text_weight: float, among: Selection | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores, rows and sources of hits by words of the texts, beside those by the pictures if there are any."""
        for text in queries["text"]:
            if not isinstance(text, str):
                raise ValueError(f"`text` must be a string, or a list of strings, got {text!r:.80}.")
        if not self.searches_text:
            raise ValueError(f"{FOUND_BY_PICTURE}, as none of them has a text: search with `image=`.")
        if "image" not in queries:
            return self.words.search(queries["text"], k, among)
        embeddings = self._embed({"image": queries["image"]}, text_weight)
        near = self.index.search(embeddings, candidates(k), among)[1]
        return self.words.search_beside(near, queries["text"], k, text_weight, among)

    def _search_and_compare(
        self, embeddings: np.ndarray, moved: np.ndarray, k: int, among: Selection | None, is_filtered: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores, rows and probabilities of hits, which are compared with the query's neighbours in the whole bank."""
        scores, rows = self.index.search(embeddings, k if is_filtered else max(k, NEIGHBOURS), among)
        near = self.index.search(embeddings, NEIGHBOURS, self._live) if is_filtered else (scores, rows)
        near = [part[:, :NEIGHBOURS] for part in near]
        scores, rows = scores[:, :k], rows[:, :k]
        return scores, rows, self.calibration.probabilities(self.config.metric, scores, rows, *near, moved)

    def _moved(self, pictures: Sequence, embeddings: np.ndarray, needed: bool) -> np.ndarray | None:
        """Distances of queries from their second views; `None` where only the user's own embedder can read them."""
        try:
            opened = [picture if isinstance(picture, Image) else load_image(picture, QUERY) for picture in pictures]
        except ValueError:
            if needed:
                raise
            return None
        views = self.embedder().embed_images([second_view(picture) for picture in opened])
        return view_distances(embeddings, views, self.config.metric)

    def check_min_score(self, min_score: float | None, by_text: bool = False) -> None:
        """See [`MemoryBank.check_min_score`]."""
        check_min_score(min_score, self.calibration, self.config.num_items, str(self.items.folder), by_text)

    def check_where(self, where: Mapping[str, object]) -> None:
        """See [`MemoryBank.check_where`]."""
        self._filter.select(where)

    def rows_that_fit(self, where: Mapping[str, object]) -> np.ndarray:
        """The rows of items that fit a filter, int64, in ascending order."""
        return rows_in(self._filter.select(where), self.config.num_rows)

    def metadata_kinds(self, field: str) -> frozenset[str]:
        """See [`MemoryBank.metadata_kinds`]."""
        return self._filter.kinds(field)

    def _opened(self, pictures: Sequence) -> Sequence:
        embedder = self.embedder()
        if not isinstance(embedder, (BackboneEmbedder, ModelEmbedder)):  # others may take other queries
            return pictures
        limit = MAX_ASPECT_RATIO if isinstance(embedder, BackboneEmbedder) else None
        return [load_image(image, QUERY, max_aspect_ratio=limit) for image in pictures]

    def _embed(self, queries: dict[str, Sequence], text_weight: float) -> np.ndarray:
        if "vector" in queries:
            return np.stack(queries["vector"])
        embedder = self.embedder()
        parts = []
        if "image" in queries:
            parts.append(embedder.embed_images(queries["image"]))
        if "text" in queries:
            parts.append(embedder.embed_texts(queries["text"]))
        if not all(np.isfinite(part).all() for part in parts):  # else there would be no hits and no reason
            raise ValueError("The embedder's numbers for the query are not finite; load its model in another dtype.")
        if self.config.metric == "cosine":  # norms mean nothing, so they must not act as weights
            parts = [unit_rows(part) for part in parts]
        embeddings = parts[0] if len(parts) == 1 else (1 - text_weight) * parts[0] + text_weight * parts[1]
        if embeddings.shape[1] != self.config.embedding_size:
            raise ValueError(
                f"The embedder gives {embeddings.shape[1]} numbers per query, but the bank's vectors have "
                f"{self.config.embedding_size}."
            )
        return embeddings

    @property
    def searches_text(self) -> bool:
        """Whether texts can be searched for, by the embedder or by the words of the items' texts."""
        return self.embeds_text or self.words.postings.num_texts > 0

    @property
    def embeds_text(self) -> bool:
        """Whether the embedder embeds texts; another one than `"backbone"` is loaded to know that."""
        if self._embedder is None and self.config.embedder["type"] == BackboneEmbedder.type:
            return BackboneEmbedder.embeds_text
        return self.embedder().embeds_text

    def embedder(self) -> Embedder:
        """Return the embedder of items and queries, loaded by its name if none was attached.

        Raises:
            ValueError: If none was attached and it cannot be loaded.
        """
        if self._embedder is not None:
            return self._embedder
        settings = self.config.embedder
        if settings["type"] == BackboneEmbedder.type:
            raise ValueError(
                "This bank is searched with the vision tower of the model that made it: call "
                "`bank.attach(model, processor)` first."
            )
        if not settings.get("id"):
            raise ValueError("This bank does not name its embedder, so call `bank.attach(embedder=...)` first.")
        name, revision = settings["id"], settings.get("revision")
        try:
            self._embedder = ModelEmbedder.from_pretrained(name, revision, self._device)
        except (OSError, ValueError) as error:
            at = f" at revision {revision!r}" if revision else ""
            raise ValueError(
                f"This bank's embedder {name!r}{at} cannot be loaded: give it by `bank.attach(embedder=...)`. {error}"
            ) from error
        return self._embedder


def _number(probability: float) -> float | None:
    return None if np.isnan(probability) else float(probability)


def _positive_integer(k) -> int:
    try:
        number = 0 if isinstance(k, bool) else operator.index(k)  # takes numpy's integers too
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"`k` must be a positive integer, got {k!r}.")
    return number


def _as_lists(image, text) -> tuple[dict[str, Sequence], bool]:
    """The given queries, as lists of the same length, and whether they were single queries."""
    queries = {name: query for name, query in (("image", image), ("text", text)) if query is not None}
    if not queries:
        raise ValueError("Nothing to search for: give `image`, `text` or `vector`.")
    single = not isinstance(next(iter(queries.values())), (list, tuple))
    if single:
        queries = {name: [query] for name, query in queries.items()}
    lengths = {len(query) if isinstance(query, (list, tuple)) else None for query in queries.values()}
    if len(lengths) > 1:
        raise ValueError("`image` and `text` must both be single queries or lists of the same length.")
    return queries, single
