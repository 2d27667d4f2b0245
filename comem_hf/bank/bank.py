"""Memory banks: items, the memory vectors that a model made of them, and an index to find them."""

import copy
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from comem_hf.bank.building.build_settings import SHARD_SIZE, BuildSettings
from comem_hf.bank.building.builder import BankBuilder
from comem_hf.bank.building.processes import Processes
from comem_hf.bank.changing.add_and_remove import add_items, remove_items
from comem_hf.bank.changing.calibrate_bank import calibrate_bank
from comem_hf.bank.changing.copy_bank import copy_bank
from comem_hf.bank.changing.merge_banks import merge_banks
from comem_hf.bank.encoding.embedder import Embedder, resolve_embedder
from comem_hf.bank.encoding.fit import check_kinds
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.hub.hub_files import HubFiles, hub_files
from comem_hf.bank.hub.publisher import BankPublisher
from comem_hf.bank.opened.hit import MemoryHit
from comem_hf.bank.opened.state import HASHED_AT_OPENING, BankState
from comem_hf.bank.opened.stored_memory_inputs import stored_memory_inputs
from comem_hf.bank.opened.verify import verify_bank
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from comem_hf.bank.pictures.older_pictures import warn_of_other_picture_rules
from comem_hf.bank.scores.plot_calibration import plot_calibration
from comem_hf.modeling.memory_inputs import MemoryInputs
from comem_hf.modeling.memory_item import MemoryItem

from .pickled import address_of, open_pickled


class MemoryBank:
    """Items with stored memory vectors: using them needs no encoder pass.

    [`MemoryBank.build`] makes a bank, [`MemoryBank.from_pretrained`] opens one. Opening reads the index; vectors and
    items stay on disk, and only those of hits are read. Searching needs the embedder of the items: with
    `embedder="backbone"` that is the model itself, which is given once to [`MemoryBank.attach`].

    [`MemoryBank.add`] and [`MemoryBank.remove`] change the files. Only one process at a time can do so, and a change
    is made completely or not at all. A bank that others have open keeps its old state until [`MemoryBank.reload`].

    A copy (`copy.copy` or `copy.deepcopy`) is a bank of the same state and the same model, which is changed, reloaded
    and attached on its own. A pickle holds the name of the folder, or of the repository and commit: another process
    opens the bank there again, as it is then, and attaches its own model.

    Example:
    ```python
    bank = MemoryBank.from_pretrained("my-bank").attach(model, processor)
    hits = bank.search(image="flag.png", k=3)
    inputs["memory_inputs"] = bank.memory_inputs([hits])
    ```
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

    @classmethod
    def build(
        cls,
        items: Iterable[MemoryItem],
        *,
        model,
        processor,
        output_dir: str | os.PathLike,
        embedder: str | os.PathLike | Embedder = "backbone",
        batch_size: int = 32,
        dtype: str = "float32",
        shard_size: int = SHARD_SIZE,
        metric: str = "cosine",
        index_factory: str | None = None,
        license: str | None = None,
        overwrite: bool = False,
        on_error: str = "skip",
        distributed: bool = False,
        num_memory_tokens: int | None = None,
    ) -> "MemoryBank":
        """Encode items and write them as a memory bank.

        Work is kept in `<output_dir>.unfinished` until the bank is complete. After an interruption, the same call with
        the same items and settings continues the build; a call with others is refused. An item without an id gets one
        made from its content. Items with the same id, text, picture and metadata are stored once, and `skipped.jsonl`
        lists the others as repetitions; of different items with the same id, only the first can be used. A batch that
        runs out of memory is halved. Texts of which the memory encoder reads only the beginning are counted in
        `config.cut_texts`. The bank is calibrated at the end (see [`MemoryBank.calibrate`]).

        Args:
            items (`Iterable[MemoryItem]`): The items, or mappings of their fields, read one after the other; see
                `comem_hf.bank.sources` for files, folders and data sets.
            model (`CoMemForConditionalGeneration`): The model whose memory encoder encodes the items.
            processor (`CoMemProcessor`): The model's processor.
            output_dir (`str` or `os.PathLike`): Folder of the bank, new or empty.
            embedder (`str`, `os.PathLike` or `Embedder`): Makes the items searchable: `"backbone"` (the model's own
                vision tower, average-pooled; every item needs an image), the folder or Hub id of an `AutoModel` with
                image features, or an `Embedder` object. Items without an image need an embedder with a text side.
            batch_size (`int`, defaults to 32): Items per encoder pass.
            dtype (`str`, defaults to `"float32"`): Type of the stored vectors: `"float32"`, `"bfloat16"`, `"float16"`,
                `"int8"` with a scale per vector (a quarter of the bytes) or `"int4"` with a scale per 32 numbers (a
                seventh of the bytes).
            shard_size (`int`, defaults to 1024): Items per file; an interruption loses the work on at most so many.
            metric (`str`, defaults to `"cosine"`): How embeddings are compared: `"cosine"` or `"l2"` (Euclidean
                distance).
            index_factory (`str`, *optional*): FAISS factory string of the index, such as `"IVF4096,SQ8"` or
                `"HNSW32"`; if not given, it depends on the number of items (see [`default_factory`]).
            license (`str`, *optional*): Licence of the items, by the Hub's identifier (`"cc-by-sa-4.0"`).
            overwrite (`bool`, defaults to `False`): Replace a bank in `output_dir`, and discard an unfinished build
                with other settings.
            on_error (`str`, defaults to `"skip"`): `"skip"` leaves out items that cannot be used, whatever error they
                cause, and lists them, with the reason, in `skipped.jsonl` of the bank; `"raise"` stops at the first
                such item. Memory or disk that run out always end the build.
            distributed (`bool`, defaults to `False`): Share the work among the processes of `accelerate launch` or
                `torchrun`, which all call this with the same arguments. One process would build the same bank.
            num_memory_tokens (`int`, *optional*): Store only the first so many vectors of each item, for a memory
                encoder that was trained with `nested_memory_lengths`. The bank fits the same model. By default all.

        Returns:
            `MemoryBank`: The bank, ready to search.

        Raises:
            ValueError: If an item cannot be used and `on_error` is `"raise"` (the message gives its number), if no
                item can be used, or if `output_dir` cannot be used.
            OSError: If no space is left; once there is space again, the same call continues the build.
        """
        check_kinds(model, processor)
        resolved = resolve_embedder(embedder, model, processor)
        settings = BuildSettings(
            batch_size=batch_size,
            dtype=dtype,
            shard_size=shard_size,
            metric=metric,
            index_factory=index_factory,
            license=license,
            on_error=on_error,
            num_memory_tokens=num_memory_tokens,
        )
        builder = BankBuilder(model, processor, resolved, settings, Processes(distributed))
        builder.build(items, Path(output_dir), overwrite)
        return cls.from_pretrained(output_dir, model=model, processor=processor, embedder=resolved)

    @classmethod
    def from_pretrained(
        cls,
        repo_or_dir: str | os.PathLike,
        revision: str | None = None,
        *,
        model=None,
        processor=None,
        embedder: Embedder | None = None,
        repo_type: str = "dataset",
        memories: str = "eager",
        allow_changed_model: bool = False,
        **hub_options,
    ) -> "MemoryBank":
        """Open a memory bank.

        A bank that an older version made, with other rules for reading pictures ([`load_image`]), opens with a warning
        if it holds pictures that may have been read differently. Only headers are read, and of at most 2,048
        items; [`MemoryBank.verify`] looks at all.

        Args:
            repo_or_dir (`str` or `os.PathLike`): Folder or Hub repository.
            revision (`str`, *optional*): Branch, tag or commit of the repository.
            model, processor, embedder (*optional*): Passed to [`MemoryBank.attach`] when any is given.
            repo_type (`str`, defaults to `"dataset"`): Kind of Hub repository: `"dataset"` or `"model"`.
            memories (`str`, defaults to `"eager"`): For a repository: `"eager"` downloads the whole bank. `"lazy"`
                downloads its index, and the memory and items of hits when they are first used; getting an item by its
                id, or searching with `where`, downloads all items.
            allow_changed_model (`bool`, defaults to `False`): For [`MemoryBank.attach`], now or later.
            hub_options: Passed to `huggingface_hub.hf_hub_download` (`token`, `cache_dir`, `local_files_only`, ...).

        Raises:
            ValueError: If this is no bank, a file is missing, damaged or of another size, the format is newer than
                this version of comem_hf reads, an argument is unknown, or as in [`MemoryBank.attach`].
            OSError: If the repository cannot be read.
        """
        remote = hub_files(repo_or_dir, revision, repo_type, memories, HASHED_AT_OPENING, **hub_options)
        bank = cls(Path(repo_or_dir) if remote is None else remote.folder, remote)
        bank._allow_changed_model = allow_changed_model
        with decoder_warnings_logged(once=True):
            warn_of_other_picture_rules(bank._state.items, bank._state.removed)
        if model is not None or processor is not None or embedder is not None:
            bank.attach(model, processor, embedder=embedder)
        return bank

    def attach(
        self,
        model=None,
        processor=None,
        *,
        embedder: Embedder | None = None,
        allow_changed_model: bool | None = None,
    ) -> "MemoryBank":
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

    def add(
        self,
        items: Iterable[MemoryItem],
        *,
        model=None,
        processor=None,
        batch_size: int = 32,
        on_error: str = "skip",
    ) -> list[dict]:
        """Encode items and add them to the bank, except those that it already holds.

        Args:
            items (`Iterable[MemoryItem]`): As in [`MemoryBank.build`].
            model, processor (*optional*): Passed to [`MemoryBank.attach`] when given.
            batch_size (`int`, defaults to 32): Items per encoder pass.
            on_error (`str`, defaults to `"skip"`): `"skip"` leaves out items that cannot be used, such as one whose id
                is that of a different item in the bank; `"raise"` stops at the first such item and leaves the bank
                unchanged.

        Returns:
            `list[dict]`: `{"item": number from 0, "id": str or None, "reason": str}` for each item that was left out,
            with `"repetition": True` for those that the bank, or the items themselves, hold already: their text,
            picture and metadata are the same, and `"other_file": True` for files that a source found and did not
            read.

        Raises:
            ValueError: If no model is attached, or it is not the one that encoded the bank; if an item cannot be used
                and `on_error` is `"raise"`; or if another process is changing the bank.
            OSError: If no space is left; the bank is unchanged.
        """
        if model is not None or processor is not None:
            self.attach(model, processor)
        skipped = add_items(self._state, items, self._model, self._processor, batch_size, on_error)
        self.reload()
        return skipped

    def remove(self, ids: Sequence[str]) -> None:
        """Remove items: searches no longer find them, and earlier hits on them are refused.

        Their texts, pictures and vectors stay in the files of this folder, as others may be reading them. What
        [`MemoryBank.save_pretrained`], [`MemoryBank.push_to_hub`] and [`MemoryBank.merge`] write is without them; to
        be rid of them here, save a copy and delete this folder.

        Args:
            ids (`list[str]`): Ids of the items.

        Raises:
            ValueError: If the bank has no item with one of the ids, if no item would be left, or if another process
                is changing the bank; the bank is unchanged.
        """
        remove_items(self._state, ids)
        self.reload()

    @classmethod
    def merge(
        cls,
        banks: Sequence["MemoryBank | str | os.PathLike"],
        output_dir: str | os.PathLike,
        *,
        on_conflict: str = "raise",
        shard_size: int = SHARD_SIZE,
        index_factory: str | None = None,
    ) -> "MemoryBank":
        """Merge banks of one memory encoder into a new bank; a single bank is copied without its removed items.

        Nothing is encoded: memory vectors are copied, and embeddings are taken from the indexes, where `Flat` and
        `HNSW` keep them exactly. The index is trained anew for the number of items. The licence is kept if all banks
        have the same one. Hits in the merged bank have no probability until [`MemoryBank.calibrate`] is called.

        Args:
            banks (`list[MemoryBank]`): The banks, or their folders or Hub ids. They are not changed.
            output_dir (`str` or `os.PathLike`): Folder of the merged bank, new or empty.
            on_conflict (`str`, defaults to `"raise"`): What to do with different items of the same id: `"raise"` an
                error, or keep the item of the `"first"` bank. Of equal items, the first is always kept.
            shard_size (`int`, defaults to 1024): Items per file.
            index_factory (`str`, *optional*): As in [`MemoryBank.build`].

        Returns:
            `MemoryBank`: The merged bank. If the first of `banks` has a model attached, so has the merged bank.

        Raises:
            ValueError: If the banks differ in memory encoder, embedder, dtype or metric, if they hold different items
                of the same id and `on_conflict` is `"raise"`, or if `output_dir` is not empty.
            OSError: If no space is left; nothing is left in `output_dir`.
        """
        if isinstance(banks, (cls, str, os.PathLike)):
            raise ValueError(f"`banks` must be a list of banks, got {banks!r}.")
        opened = [bank if isinstance(bank, cls) else cls.from_pretrained(bank) for bank in banks]
        for bank in opened:
            bank._fetch_all()
        merge_banks([bank._state for bank in opened], Path(output_dir), on_conflict, shard_size, index_factory)
        merged = cls(Path(output_dir))
        merged._state.search.take_over(opened[0]._state.search)
        merged._model, merged._processor = opened[0]._model, opened[0]._processor
        merged._allow_changed_model = opened[0]._allow_changed_model
        return merged

    def reload(self) -> "MemoryBank":
        """Load the changes that others have made since the bank was opened.

        Earlier hits can still be used, unless their item has been removed.

        Returns:
            `MemoryBank`: This bank.

        Raises:
            ValueError: If the bank is damaged, or another bank has replaced it.
        """
        if BankConfig.load(self.folder) != self.config:
            state = BankState.open(self.folder, self._state.fetch)
            state.search.take_over(self._state.search)
            self._state = state
        return self

    def search(
        self,
        image=None,
        text: str | Sequence[str] | None = None,
        k: int = 3,
        *,
        text_weight: float = 0.5,
        where: Mapping[str, object] | None = None,
        min_score: float | None = None,
        probabilities: bool = True,
    ) -> list[MemoryHit] | list[list[MemoryHit]]:
        """Find the items nearest to a query.

        Args:
            image (picture or list of these, *optional*): What to look for, in any form that [`load_image`] takes.
            text (`str` or list of them, *optional*): What to look for; needs an embedder with a text side.
            k (`int`, defaults to 3): Hits per query; fewer if the bank has fewer items, or fewer that match `where`.
            text_weight (`float`, defaults to 0.5): Weight of the text's embedding if both image and text are given, 0
                to 1; the image's embedding has the rest.
            where (`dict`, *optional*): What the metadata of hits must be: `{"language": "en", "source": ["a", "b"]}`
                finds English items of source a or b, `{"price": {"$gte": 30, "$lt": 40}, "shop.city": "Athens"}`
                compares numbers and looks into nested objects. A field has the operators `$eq`, `$ne`, `$gt`, `$gte`,
                `$lt`, `$lte`, `$in`, `$nin`, `$exists` (true or false), `$contains` (an element of a list, or a part
                of a string) and `$not`; `$and`, `$or` and `$not` combine filters. Numbers compare with numbers (10
                equals 10.0), never with strings. A missing field and null match `$ne`, `$nin` and `$exists: False`
                alone. For the cost, see [`MetadataFilter`].
            min_score (`float`, *optional*): Least probability of hits that they show the same thing as the picture, 0
                to 1 (see [`MemoryBank.calibrate`]). Of the `k` nearest items those below it are left out.
            probabilities (`bool`, defaults to `True`): Whether hits of a calibrated bank get their probability. For it
                each picture is embedded twice: `False` finds the same items with the same scores in less time.

        Returns:
            `list[MemoryHit]`: The hits, best first; if the query was a list, a list of such lists. With `min_score`,
            lists may be empty: the bank holds nothing like the picture.

        Raises:
            ValueError: If there is no query, an image is unreadable, the embedder is missing or has no text side, `k`,
                `text_weight`, `where` or `min_score` is not valid, `where` names a field that no item has,
                `min_score` is given for a text, without probabilities or for a bank that is not calibrated, or the
                attached model was changed since.
        """
        self._check_attached()
        return self._state.search.search(image, text, k, text_weight, where, min_score, probabilities)

    def calibrate(self, *, model=None, processor=None, pictures: int | None = None, batch_size: int = 32) -> None:
        """Fit the probabilities of hits to the bank's own pictures, and write them into `bank_config.json`.

        [`MemoryBank.build`] does this, so it is for banks of older versions, merged ones, and those that have grown or
        shrunk a lot: [`MemoryBank.add`] and [`MemoryBank.remove`] keep the fit.

        Pictures of some items are made smaller, compressed or cropped, and searched for twice: in the bank, and as if
        the bank did not hold their item; and so are pictures of noise, of one colour and of blurred colours. A
        logistic regression tells hits on the same thing from the others, by how near they are beside the nearest
        other item, and beside the same picture framed closer (see [`closeness`]). So a probability is about copies of
        a picture: another photograph of the same thing may get a low one. It is fitted to the first three hits of
        searches of which three in seven are for items that the bank holds, three for items left out, and one for
        nothing. The Brier score is that of first hits, without the pictures of nothing.

        Args:
            model, processor (*optional*): Passed to [`MemoryBank.attach`] when given.
            pictures (`int`, *optional*): Items to sample, at least 8; if not given, a quarter of them, but from 64 to
                256.
            batch_size (`int`, defaults to 32): Pictures per pass of the embedder.

        Raises:
            ValueError: If there are fewer than 8 items with pictures, the embedder does not tell them apart, no
                embedder is attached, or another process is changing the bank.
        """
        if model is not None or processor is not None:
            self.attach(model, processor)
        calibrate_bank(self._state, self._model, pictures, batch_size)
        self.reload()

    def plot_calibration(self, path: str | os.PathLike) -> None:
        """Draw the scores and the probabilities of true and of false hits, as the calibration found them.

        Args:
            path (`str` or `os.PathLike`): File of the picture, PNG, SVG or PDF by its ending.

        Raises:
            ValueError: If the bank is not calibrated, matplotlib is not installed, or it knows no such ending.
        """
        plot_calibration(self._state.search.calibration, self.config.metric, Path(path))

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
    def embeds_text(self) -> bool:
        """Whether the bank can be searched by text; if not, its items are found by their picture only."""
        return self._state.search.embeds_text

    @property
    def config(self) -> BankConfig:
        """The bank's configuration."""
        return self._state.config

    @property
    def ids(self) -> list[str]:
        """Ids of all items, in the order of rows."""
        return list(self._state.rows.by_id)

    def __getitem__(self, item_id: str) -> MemoryItem:
        """The item with the given id."""
        state = self._state
        with decoder_warnings_logged(once=True):
            return state.items.read([state.rows.row(item_id)])[0]

    def stored_image(self, item_id: str) -> bytes | None:
        """Return the picture of an item as the bank stores it: the bytes of an image file.

        Args:
            item_id (`str`): Id of the item.

        Returns:
            `bytes` or `None`: The encoded picture; `None` if the item has none.

        Raises:
            ValueError: If there is no such item, or the bank is damaged.
        """
        state = self._state
        return state.items.read_records([state.rows.row(item_id)])[0].image

    def __contains__(self, item_id: object) -> bool:
        """Whether there is an item with the given id."""
        return item_id in self._state.rows.by_id

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids, as a mapping does."""
        return iter(self.ids)

    def __len__(self) -> int:
        return self.config.num_items

    def __repr__(self) -> str:
        config = self.config
        return (
            f"MemoryBank({config.num_items} items of {config.num_memory_tokens} x {config.hidden_size} "
            f"{config.memory_dtype}, embedder={config.embedder.get('id') or config.embedder['type']!r}, "
            f"folder={str(self.folder)!r})"
        )

    def __copy__(self) -> "MemoryBank":
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied._state = self._state.with_own_embedder()
        return copied

    def __deepcopy__(self, memo: dict) -> "MemoryBank":
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

    def save_pretrained(self, save_directory: str | os.PathLike) -> None:
        """Copy the bank to another folder, new or empty, without the items that were removed.

        Files that hold removed items are written anew. Searches find the same as here; earlier hits on items of those
        files are refused there.

        Raises:
            ValueError: If the folder is not empty, or a file of this bank is damaged.
        """
        self._fetch_all()
        copy_bank(self._state, Path(save_directory))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        repo_type: str = "dataset",
        private: bool | None = None,
        license: str | None = None,
        commit_message: str | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        create_pr: bool = False,
        model_id: str | None = None,
        model_revision: str | None = None,
    ):
        """Push the bank to a Hub repository: a card, and the files that are new or have changed.

        Removed items are not pushed: files that hold any are written anew in a temporary folder. Files of an older
        bank in the repository are deleted; earlier commits keep theirs. Other files are left alone. Readers see either
        the old bank or the new one. After an interruption, the same call continues the push. The card is generated,
        unless this bank's `README.md` has been edited (then it is pushed) or the repository's has been (then it
        stays).

        Args:
            repo_id (`str`): Id of the repository, which is created if it does not exist.
            repo_type (`str`, defaults to `"dataset"`): `"dataset"` or `"model"`.
            private (`bool`, *optional*): Whether a new repository is private; if not given, the owner's default.
            license (`str`, *optional*): Licence of the items, by the Hub's identifier (`"cc-by-sa-4.0"`). If not
                given, the one in the bank's or else the repository's `bank_config.json`.
            commit_message (`str`, *optional*): First line of the commit.
            revision (`str`, *optional*): Branch to push to, created if it does not exist; defaults to the main branch.
            token (`str` or `bool`, *optional*): Token of a user who may write there; defaults to the stored one.
            create_pr (`bool`, defaults to `False`): Open a pull request instead.
            model_id (`str`, *optional*): Repository of the model that encoded the bank; the pushed configuration and
                card name it. If not given, the one in the bank's or else the repository's `bank_config.json`.
            model_revision (`str`, *optional*): Commit of that repository.

        Returns:
            `huggingface_hub.CommitInfo`: The commit (`oid`, `commit_url`, `pr_url`); if nothing has changed, the
            latest one.

        Raises:
            ValueError: If a file of this bank is damaged, or `private` is asked for and the repository is public.
            OSError: If the repository cannot be written.
        """
        return BankPublisher(self._state).push(
            repo_id,
            repo_type=repo_type,
            license=license,
            commit_message=commit_message,
            model_id=model_id,
            model_revision=model_revision,
            private=private,
            revision=revision,
            create_pr=create_pr,
            token=token,
        )

    def _fetch_all(self) -> None:
        if self._state.fetch is not None:
            self._state.fetch(self.config.data_files())
