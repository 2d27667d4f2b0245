"""What an opened memory bank is asked: its items, searches among them, and their memory vectors."""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from comem_hf.bank.encoding.embedder import Embedder
from comem_hf.bank.encoding.fit import check_kinds
from comem_hf.bank.hub.hub_files import HubFiles
from comem_hf.bank.opened.hit import MemoryHit
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.opened.stored_memory_inputs import stored_memory_inputs
from comem_hf.bank.opened.verify import verify_bank
from comem_hf.bank.scores.plot_calibration import plot_calibration
from comem_hf.modeling.memory_inputs import MemoryInputs

from .bank_items import BankItems
from .pickled import address_of, open_pickled


Bank = TypeVar("Bank", bound="OpenedBank")


class OpenedBank(BankItems):
    """What [`MemoryBank`] does without writing to its folder.

    Args:
        folder (`Path`): The bank.
        remote (`HubFiles`, *optional*): Its repository.
    """

    def __init__(self, folder: Path, remote: HubFiles | None = None):
        self.folder = folder
        self._address = address_of(folder, remote)
        self._state = BankState.open(
            folder, remote and remote.fetch
        )  # replaced as a whole; each method reads it once, and so sees one state
        self._model = None
        self._processor = None
        self._allow_changed_model = False

    def attach(
        self: Bank,
        model=None,
        processor=None,
        *,
        embedder: Embedder | None = None,
        allow_changed_model: bool | None = None,
    ) -> Bank:
        """Attach the model that the bank is used with, and the embedder of its queries.

        Args:
            model (`CoMemForConditionalGeneration`): The model that encoded the bank, in any precision.
            processor (`CoMemProcessor`): The model's processor.
            embedder (`Embedder`, *optional*): The embedder of a bank that was not made with `"backbone"`. If not
                given, it is loaded at the first search, by the name in `bank_config.json`.
            allow_changed_model (`bool`, *optional*, defaults to `False`): Only warn of a model whose weights are
                others, such as one into which a fine-tune of the same backbone was merged. It may misread the vectors.
                Items cannot be added with it. If not given, an earlier choice for this bank stays.

        Returns:
            `MemoryBank`: This bank.

        Raises:
            ValueError: If the model's memory encoder, or the embedder, is not the one that the bank was made with, or
                the processor prepares pictures or texts of items in another way (`image_mean`, pixel limits, ...); or
                if `model` is no CoMEM model or `processor` no CoMEM processor.
        """
        check_kinds(model, processor)
        allowed = self._allow_changed_model if allow_changed_model is None else allow_changed_model
        if model is not None:
            self._state.check_model(model, allowed)
        self._allow_changed_model = allowed
        self._state.search.attach(model, processor, embedder)
        self._model = self._model if model is None else model
        self._processor = self._processor if processor is None else processor
        return self

    def search(
        self,
        image=None,
        text: str | Sequence[str] | None = None,
        k: int = 3,
        *,
        vector=None,
        text_weight: float = 0.5,
        where: Mapping[str, object] | None = None,
        ids: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        min_score: float | None = None,
        probabilities: bool = True,
    ) -> list[MemoryHit] | list[list[MemoryHit]]:
        """Find the items nearest to a query.

        A text is searched for by its embedding if the bank's embedder has a text side. Otherwise it is searched for by
        words, in the texts of the items: by BM25, and beside a picture by reciprocal rank fusion, in which an item
        gets the weight of a list / (60 + its rank there) from the list of the picture and that of the words, of each
        the first 50 or `k`. Items without a word of the text are no hits of the words, so there may be fewer than `k`.
        Which words are compared, in which languages, says [`words_of`].

        Args:
            image (picture or list of these, *optional*): What to look for, in any form that [`load_image`] takes.
            text (`str` or list of them, *optional*): What to look for.
            k (`int`, defaults to 3): Hits per query; fewer if the bank has fewer items, or fewer that may be hits.
            vector (array or list of these, *optional*): What to look for, already embedded by the bank's embedder, of
                shape (embedding size,), in place of `image` and `text`; needs no model.
            text_weight (`float`, defaults to 0.5): Weight of the text if both image and text are given, 0 to 1; the
                image has the rest. It weighs embeddings, or the two lists of a search by picture and words.
            where (`dict`, *optional*): What the metadata of hits must be: `{"language": "en", "source": ["a", "b"]}`
                finds English items of source a or b, `{"price": {"$gte": 30, "$lt": 40}, "shop.city": "Athens"}`
                compares numbers and looks into nested objects. A field has the operators `$eq`, `$ne`, `$gt`, `$gte`,
                `$lt`, `$lte`, `$in`, `$nin`, `$exists` (true or false), `$contains` (an element of a list, or a part
                of a string) and `$not`; `$and`, `$or` and `$not` combine filters. Numbers compare with numbers (10
                equals 10.0), never with strings. A missing field and null match `$ne`, `$nin` and `$exists: False`
                alone. For the cost, see [`MetadataFilter`].
            ids (`list[str]`, *optional*): Only these items may be hits, or those of them that match `where`; also
                earlier hits, in place of their ids.
            exclude (`list[str]`, *optional*): These items, or earlier hits, are no hits; unknown ids change nothing.
            min_score (`float`, *optional*): Least probability of hits that they show the same thing as the picture, 0
                to 1 (see [`MemoryBank.calibrate`]). Of the `k` nearest items those below it are left out.
            probabilities (`bool`, defaults to `True`): Whether hits of a calibrated bank get their probability. For it
                each picture is embedded twice: `False` finds the same items with the same scores in less time.

        Returns:
            `list[MemoryHit]`: The hits, best first; if the query was a list, a list of such lists. With `min_score`,
            lists may be empty: the bank holds nothing like the picture.

        Raises:
            ValueError: If there is no query, an image is unreadable, the embedder is missing, no item has a text to be
                found by, `k`, `text_weight`, `vector`, `where`, `ids` or `min_score` is not valid, `where` names a
                field that no item has or `ids` an item that is not there (a `KeyError`, too), `min_score` is given for
                a text or a vector, without probabilities or for a bank that is not calibrated, or the attached model
                was changed since.
        """
        self._check_attached()
        state = self._state
        only = None if ids is None else state.rows.rows_of(ids)
        without = state.rows.rows_of(exclude, "exclude", known_only=True)
        options = {"vector": vector, "only": only, "without": without}
        return state.search.search(image, text, k, text_weight, where, min_score, probabilities, **options)

    def memory_inputs(
        self,
        hits: Sequence[Sequence["MemoryHit | str"]],
        dtype: torch.dtype | None = None,
        num_memory_tokens: int | None = None,
    ) -> MemoryInputs:
        """Return the stored vectors of items as the model's `memory_inputs`.

        Args:
            hits (`list[list[MemoryHit]]`): For each sample, its hits (or ids of items), in the order in which the
                model gets them. Samples may have different numbers of items, 0 included; they are padded and masked.
            dtype (`torch.dtype`, *optional*): Type of the result. If not given, it is that of the stored vectors, or
                float32 if those are integers.
            num_memory_tokens (`int`, *optional*): Use only the first so many vectors of each item, for a memory
                encoder that was trained with `nested_memory_lengths`. By default all that are stored.

        Returns:
            `MemoryInputs`: `memory_embeds` of shape (batch, items, memory tokens, hidden) and `item_mask` of shape
            (batch, items), on the CPU.

        Raises:
            ValueError: If there is no sample, a hit comes from another bank, an id is unknown, stored vectors are
                not finite or fewer than `num_memory_tokens`, or the attached model was changed since.
        """
        self._check_attached()
        state = self._state
        return stored_memory_inputs(hits, state.rows, state.items, state.vectors, dtype, num_memory_tokens)

    def _check_attached(self) -> None:
        if self._model is not None:  # its weights may have been trained since
            self._state.check_model(self._model, self._allow_changed_model, is_attached=True)

    def check_where(self, where: Mapping[str, object]) -> None:
        """Check a filter without searching.

        Args:
            where (`dict`): As for [`MemoryBank.search`].

        Raises:
            ValueError: If it is no filter, or it names a field that no item has.
        """
        self._state.search.check_where(where)

    def check_min_score(self, min_score: float | None) -> None:
        """Check a least probability without searching.

        Args:
            min_score (`float`, *optional*): As for [`MemoryBank.search`], by a picture.

        Raises:
            ValueError: If it is no number from 0 to 1, or the bank is not calibrated.
        """
        self._state.search.check_min_score(min_score)

    @property
    def is_calibrated(self) -> bool:
        """Whether hits on pictures have a probability, and `min_score` can be used."""
        return self._state.search.calibration is not None

    def plot_calibration(self, path: str | os.PathLike) -> None:
        """Draw the scores and the probabilities of true and of false hits, as the calibration found them.

        Args:
            path (`str` or `os.PathLike`): File of the picture, PNG, SVG or PDF by its ending.

        Raises:
            ValueError: If the bank is not calibrated, matplotlib is not installed, or it knows no such ending.
        """
        plot_calibration(self._state.search.calibration, self.config.metric, Path(path))

    def metadata_kinds(self, field: str) -> frozenset[str]:
        """Return the kinds of values that a field of the items' metadata has.

        Args:
            field (`str`): Name of the field; dots lead into nested objects.

        Returns:
            `frozenset[str]`: Some of `"number"`, `"string"`, `"boolean"`, `"list"` and `"object"`; none if the field
            is always null.

        Raises:
            ValueError: If no item has the field; the message lists the fields that items have.
        """
        return self._state.search.metadata_kinds(field)

    @property
    def searches_text(self) -> bool:
        """Whether the bank can be searched by text; if not, its items are found by their picture only."""
        return self._state.search.searches_text

    @property
    def embeds_text(self) -> bool:
        """Whether the bank's embedder embeds texts; if not, items are found by the words of their texts."""
        return self._state.search.embeds_text

    def __repr__(self) -> str:
        config = self.config
        return (
            f"MemoryBank({config.num_items} items of {config.num_memory_tokens} x {config.hidden_size} "
            f"{config.memory_dtype}, embedder={config.embedder.get('id') or config.embedder['type']!r}, "
            f"folder={str(self.folder)!r})"
        )

    def __copy__(self: Bank) -> Bank:
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied._state = self._state.with_own_embedder()
        return copied

    def __deepcopy__(self: Bank, memo: dict) -> Bank:
        return copy.copy(self)  # a state never changes, and files are not copied

    def __reduce__(self):
        allowed = {"allow_changed_model": True} if self._allow_changed_model else {}
        return open_pickled, (type(self), {**self._address, **allowed})

    def verify(self) -> dict[str, int | bool]:
        """Read the whole bank and check it: checksums, counts, vectors, items and, if one is attached, the model.

        Returns:
            `dict`: What was checked: the `generation`, the numbers of `items`, `removed` rows, `shards`, `files` and
            `bytes`, and whether there was a `model`.

        Raises:
            ValueError: If something is wrong; the message names the first problem.
        """
        self._fetch_all()
        return verify_bank(self._state, self._model, self._allow_changed_model)

    def _fetch_all(self) -> None:
        if self._state.fetch is not None:
            self._state.fetch(self.config.data_files())
