"""Memory banks: items, the memory vectors a model made of them, and an index to find them by."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from comem_hf.bank.building.build_settings import SHARD_SIZE, BuildSettings
from comem_hf.bank.building.builder import BankBuilder
from comem_hf.bank.building.processes import Processes
from comem_hf.bank.changing.add_and_remove import add_items, remove_items
from comem_hf.bank.changing.merge_banks import merge_banks
from comem_hf.bank.encoding.embedder import Embedder, resolve_embedder
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.hub.hub_files import HubFiles, hub_files
from comem_hf.bank.hub.publisher import BankPublisher
from comem_hf.bank.opened.hit import MemoryHit
from comem_hf.bank.opened.integrity import copy_bank
from comem_hf.bank.opened.state import HASHED_AT_OPENING, BankState
from comem_hf.bank.opened.stored_memory_inputs import stored_memory_inputs
from comem_hf.bank.opened.verify import verify_bank
from comem_hf.modeling.memory_inputs import MemoryInputs
from comem_hf.modeling.memory_item import MemoryItem


class MemoryBank:
    """Items whose memory vectors are stored, so that no encoder pass is needed to use them.

    Made by [`MemoryBank.build`] and [`MemoryBank.from_pretrained`]. Opening reads the index; vectors and items stay on
    disk, and only hits are read. Searching needs whatever embedded the items: with `embedder="backbone"` that is the
    model itself, given once by [`MemoryBank.attach`].

    [`MemoryBank.add`] and [`MemoryBank.remove`] change the files, one process at a time, all at once or not at all;
    whoever has the bank open sees it as it was until [`MemoryBank.reload`].

    Example:

    ```python
    bank = MemoryBank.from_pretrained("my-bank").attach(model, processor)
    hits = bank.search(image="flag.png", k=3)
    inputs["memory_inputs"] = bank.memory_inputs([hits])
    ```
    """

    def __init__(self, folder: Path, remote: HubFiles | None = None):
        self.folder = folder
        self._state = BankState.open(
            folder, remote and remote.fetch
        )  # replaced as a whole; a method reads it once, so sees no mix
        self._model = None
        self._processor = None

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
    ) -> "MemoryBank":
        """Encode items and write them as a memory bank.

        Work is kept in `<output_dir>.unfinished` until the bank is whole. An interrupted build goes on when it is
        called again with the same items and settings; with others it is refused. Items without an id get one made of
        their content. An item that is there twice is stored once; of others with the same id only the first can be
        used. A batch that runs out of memory is halved.

        Args:
            items (`Iterable[MemoryItem]`): The items, or mappings of their fields, read one after the other; see
                `comem_hf.bank.sources` for files, folders and data sets.
            model (`CoMemForConditionalGeneration`): Its memory encoder encodes them.
            processor (`CoMemProcessor`): Its processor.
            output_dir (`str` or `os.PathLike`): Folder of the bank, new or empty.
            embedder (`str`, `os.PathLike` or `Embedder`): What makes the items searchable: `"backbone"` (the model's
                own vision tower, average-pooled; every item needs an image), the folder or Hub id of an `AutoModel`
                with image features, or an object. Items without an image need an embedder with a text side.
            batch_size (`int`, defaults to 32): Items per encoder pass.
            dtype (`str`, defaults to `"float32"`): Of the stored vectors: `"float32"`, `"bfloat16"`, `"float16"`,
                `"int8"` with a scale per vector (a quarter of the bytes) or `"int4"` with a scale per 32 numbers (a
                seventh).
            shard_size (`int`, defaults to 1024): Items per file, and the most that an interruption can cost.
            metric (`str`, defaults to `"cosine"`): How embeddings are compared: `"cosine"` or `"l2"` (Euclidean
                distance).
            index_factory (`str`, *optional*): FAISS factory string of the index, such as `"IVF4096,SQ8"` or
                `"HNSW32"`; if not given, one by the number of items (see [`default_factory`]).
            license (`str`, *optional*): Licence of the items, by the Hub's identifier (`"cc-by-sa-4.0"`).
            overwrite (`bool`, defaults to `False`): Replace a bank in `output_dir`, and discard an unfinished build
                with other settings.
            on_error (`str`, defaults to `"skip"`): `"skip"` leaves out items that cannot be used and lists them, with
                the reason, in `skipped.jsonl` of the bank; `"raise"` stops at the first.
            distributed (`bool`, defaults to `False`): Share the work among the processes of `accelerate launch` or
                `torchrun`, which all call this with the same arguments. The bank is the same as that of one process.

        Returns:
            `MemoryBank`: Ready to search.

        Raises:
            ValueError: If an item is unusable and `on_error` is `"raise"` (its number is named), if no item is usable,
                or `output_dir` cannot be used.
            OSError: If no space is left; called again when there is, it goes on.
        """
        resolved = resolve_embedder(embedder, model, processor)
        settings = BuildSettings(
            batch_size=batch_size,
            dtype=dtype,
            shard_size=shard_size,
            metric=metric,
            index_factory=index_factory,
            license=license,
            on_error=on_error,
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
        **hub_options,
    ) -> "MemoryBank":
        """Open a memory bank.

        Args:
            repo_or_dir (`str` or `os.PathLike`): Folder or Hub repository.
            revision (`str`, *optional*): Branch, tag or commit of the repository.
            model, processor, embedder (*optional*): Passed to [`MemoryBank.attach`] when any is given.
            repo_type (`str`, defaults to `"dataset"`): Kind of Hub repository: `"dataset"` or `"model"`.
            memories (`str`, defaults to `"eager"`): Of a repository: `"eager"` downloads the whole bank, `"lazy"` its
                index, and memory and items of hits when they are first used (asking for an item by its id, or with
                `where`, gets the items of all).
            hub_options: Passed to `huggingface_hub.hf_hub_download` (`token`, `cache_dir`, `local_files_only`, ...).

        Raises:
            ValueError: If this is no bank, a file is missing, damaged or of another length, or the format is newer.
            OSError: If the repository cannot be read.
        """
        remote = hub_files(repo_or_dir, revision, repo_type, memories, HASHED_AT_OPENING, **hub_options)
        bank = cls(Path(repo_or_dir) if remote is None else remote.folder, remote)
        if model is not None or processor is not None or embedder is not None:
            bank.attach(model, processor, embedder=embedder)
        return bank

    def attach(self, model=None, processor=None, *, embedder: Embedder | None = None) -> "MemoryBank":
        """Give the bank the model it is used with, and so what embeds its queries.

        Args:
            model (`CoMemForConditionalGeneration`): Must be the one that encoded the bank.
            processor (`CoMemProcessor`): Its processor.
            embedder (`Embedder`, *optional*): For a bank made with another embedder than `"backbone"`; without it,
                that embedder is loaded by the name in `bank_config.json` at the first search.

        Returns:
            `MemoryBank`: This bank.

        Raises:
            ValueError: If the model has another memory encoder, or the embedder is another.
        """
        if model is not None:
            self._state.check_model(model)
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
        """Encode items and add them to the bank; one that it holds already is passed over.

        Args:
            items (`Iterable[MemoryItem]`): As in [`MemoryBank.build`].
            model, processor (*optional*): Passed to [`MemoryBank.attach`] when given.
            batch_size (`int`, defaults to 32): Items per encoder pass.
            on_error (`str`, defaults to `"skip"`): `"skip"` leaves out items that cannot be used; `"raise"` stops at
                the first, with the bank as it was.

        Returns:
            `list[dict]`: `{"item": number from 0, "id": str or None, "reason": str}` of each item that was left out.

        Raises:
            ValueError: If no model is attached, or it is not the one that encoded the bank; if the bank holds another
                item of the same id; or if another process is changing the bank.
            OSError: If no space is left, with the bank as it was.
        """
        if model is not None or processor is not None:
            self.attach(model, processor)
        skipped = add_items(self._state, items, self._model, self._processor, batch_size, on_error)
        self.reload()
        return skipped

    def remove(self, ids: Sequence[str]) -> None:
        """Remove items: they are not found any more, and hits on them are refused.

        What is stored of them stays in the files; [`MemoryBank.merge`] makes a bank without it.

        Args:
            ids (`list[str]`): Ids of the items.

        Raises:
            ValueError: If the bank has no item of an id, if no item would be left, or if another process is changing
                the bank; it stays as it was.
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
        """Make one bank of several that one memory encoder made; of a single one, a copy without what was removed.

        Nothing is encoded: memory vectors are copied, and embeddings are those that the indexes keep, which `Flat`
        and `HNSW` keep exactly. The index is trained anew for the number of items. A licence is kept if all banks have
        it.

        Args:
            banks (`list[MemoryBank]`): The banks, or their folders or Hub ids. They stay as they are.
            output_dir (`str` or `os.PathLike`): Folder of the merged bank, new or empty.
            on_conflict (`str`, defaults to `"raise"`): What to do about different items of the same id: `"raise"`, or
                take that of the `"first"` bank. Of equal ones the first is taken in any case.
            shard_size (`int`, defaults to 1024): Items per file.
            index_factory (`str`, *optional*): As in [`MemoryBank.build`].

        Returns:
            `MemoryBank`: The merged bank, with the model of the first if that is a bank with one attached.

        Raises:
            ValueError: If the banks differ in memory encoder, embedder, dtype or metric, if they hold different items
                of the same id, or `output_dir` is not empty.
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
        return merged

    def reload(self) -> "MemoryBank":
        """See what has been added and removed by others since the bank was opened.

        Hits of before can still be used, unless their item has been removed.

        Returns:
            `MemoryBank`: This bank.

        Raises:
            ValueError: If the bank is damaged, or another one is in its place.
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
    ) -> list[MemoryHit] | list[list[MemoryHit]]:
        """Find the items nearest to a query.

        Args:
            image (PIL image, path, or list of these, *optional*): What to look for.
            text (`str` or list of them, *optional*): What to look for, where the embedder has a text side.
            k (`int`, defaults to 3): Hits per query; fewer where no more items are there or fit `where`.
            text_weight (`float`, defaults to 0.5): With both image and text, the weight of the text's embedding, 0 to
                1; the image's has the rest.
            where (`dict`, *optional*): Only items whose metadata has these values: `{"language": "en", "source": ["a",
                "b"]}` means English ones of source a or b (see [`MetadataFilter`] for what it costs).

        Returns:
            `list[MemoryHit]`, best first; a list of such lists if the query was a list.

        Raises:
            ValueError: If there is no query, an image is unreadable, the embedder is missing or has no text side, or
                `text_weight` or `where` is of no use.
        """
        return self._state.search.search(image, text, k, text_weight, where)

    def memory_inputs(
        self, hits: Sequence[Sequence["MemoryHit | str"]], dtype: torch.dtype | None = None
    ) -> MemoryInputs:
        """Stored vectors of items, as the model's `memory_inputs`.

        Args:
            hits (`list[list[MemoryHit]]`): Items per sample, in the order the model is to get them; uneven numbers, 0
                included, are padded and masked. Ids of items do as well.
            dtype (`torch.dtype`, *optional*): Of the result; if not given, that of the stored vectors, float32 for
                integers.

        Returns:
            `MemoryInputs`: `memory_embeds` of shape (batch, items, memory tokens, hidden) and `item_mask` of shape
            (batch, items), on the CPU.

        Raises:
            ValueError: If there is no sample, a hit comes from another bank, an id is unknown, or stored vectors are
                not finite.
        """
        state = self._state
        return stored_memory_inputs(hits, state.rows, state.items, state.vectors, dtype)

    @property
    def config(self) -> BankConfig:
        """What the bank is made of."""
        return self._state.config

    @property
    def ids(self) -> list[str]:
        """Ids of all items, in the order of rows."""
        return list(self._state.rows.by_id)

    def __getitem__(self, item_id: str) -> MemoryItem:
        """The item with the given id."""
        state = self._state
        return state.items.read([state.rows.row(item_id)])[0]

    def __contains__(self, item_id: object) -> bool:
        """Whether there is an item with the given id."""
        return item_id in self._state.rows.by_id

    def __iter__(self) -> Iterator[str]:
        """The ids, as of a mapping."""
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

    def verify(self) -> dict[str, int | bool]:
        """Read the whole bank and check it: checksums, counts, vectors, items and, if one is attached, the model.

        Returns:
            `dict`: What was checked: `generation`, `items`, `removed` rows, `shards`, `files`, `bytes`, and whether
            there was a `model`.

        Raises:
            ValueError: Naming the first thing that is wrong.
        """
        self._fetch_all()
        return verify_bank(self._state, self._model)

    def save_pretrained(self, save_directory: str | os.PathLike) -> None:
        """Copy the bank to another folder, new or empty.

        Raises:
            ValueError: If the folder is not empty, or a file of this bank is damaged.
        """
        self._fetch_all()
        copy_bank(self.folder, self.config, Path(save_directory))

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
        """Push the bank to a Hub repository: files that are new or differ from those there, and a card.

        Files of an older bank there are deleted, others left alone. Readers see the bank before or the bank after, and
        an interrupted push goes on when it is called again. The card is generated, unless this bank's `README.md` has
        been edited (then it is pushed) or the repository's has been (then it stays).

        Args:
            repo_id (`str`): Id of the repository, made if it is not there.
            repo_type (`str`, defaults to `"dataset"`): `"dataset"` or `"model"`.
            private (`bool`, *optional*): Whether a new repository is private; if not given, its owner's default.
            license (`str`, *optional*): Licence of the items, by the Hub's identifier (`"cc-by-sa-4.0"`). If not
                given, the one in the bank's or else the repository's `bank_config.json`.
            commit_message (`str`, *optional*): First line of the commit.
            revision (`str`, *optional*): Branch to push to, made if it is not there; defaults to the main one.
            token (`str` or `bool`, *optional*): Token of a user who may write there; defaults to the stored one.
            create_pr (`bool`, defaults to `False`): Open a pull request instead.
            model_id (`str`, *optional*): Repository of the model that encoded the bank, which the pushed configuration
                and card then name. If not given, the one in the bank's or else the repository's `bank_config.json`.
            model_revision (`str`, *optional*): Its commit.

        Returns:
            `huggingface_hub.CommitInfo`: The commit (`oid`, `commit_url`, `pr_url`); where nothing has changed, the
            latest one.

        Raises:
            ValueError: If a file of this bank is damaged, or `private` is asked for and the repository is public.
            OSError: If the repository cannot be written.
        """
        publisher = BankPublisher(self.folder, self.config, self._state.fetch)
        return publisher.push(
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
