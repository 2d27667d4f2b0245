"""Memory banks: items, the memory vectors that a model made of them, and an index to find them."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from comem_hf.bank.building.build_settings import SHARD_SIZE, BuildSettings
from comem_hf.bank.building.builder import BankBuilder
from comem_hf.bank.building.processes import Processes
from comem_hf.bank.changing.copy_bank import copy_bank
from comem_hf.bank.changing.merge_banks import merge_banks
from comem_hf.bank.encoding.embedder import Embedder, resolve_embedder
from comem_hf.bank.encoding.fit import check_kinds
from comem_hf.bank.hub.hub_files import hub_files
from comem_hf.bank.hub.publisher import BankPublisher
from comem_hf.bank.opened.state import HASHED_AT_OPENING
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from comem_hf.bank.pictures.older_pictures import warn_of_other_picture_rules
from comem_hf.modeling.memory_item import MemoryItem

from .changeable_bank import ChangeableBank


class MemoryBank(ChangeableBank):
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
                `"shards:4"` makes four files of it, and `"lancedb"` or `"lancedb:s3://bucket/path"` a table of a
                LanceDB database (see [`MemoryBank.change_index`]).
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
