"""Changes of an opened memory bank: items and metadata, probabilities fitted, what others have changed."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from comem_hf.bank.changing.add_and_remove import add_items, check_writable, index_words, remove_items
from comem_hf.bank.changing.calibrate_bank import calibrate_bank
from comem_hf.bank.changing.update_metadata import update_metadata
from comem_hf.bank.changing.writer import BankWriter
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.index.kinds import IndexKind
from comem_hf.bank.opened.state import BankState
from comem_hf.modeling.memory_item import MemoryItem

from .opened_bank import OpenedBank


Bank = TypeVar("Bank", bound="ChangeableBank")


class ChangeableBank(OpenedBank):
    """What [`MemoryBank`] does to the files of its folder, and to see what others have done to them.

    Each change is made to the bank as it is on disk at that time, and then this object sees it, too. While another
    process is changing the bank, a change is refused, or it waits up to `wait` seconds.
    """

    def add(
        self,
        items: Iterable[MemoryItem] | MemoryItem,
        *,
        model=None,
        processor=None,
        batch_size: int = 32,
        on_error: str = "skip",
        wait: float = 0,
    ) -> list[dict]:
        """Encode items and add them to the bank, except those that it already holds.

        Args:
            items (`Iterable[MemoryItem]`): As in [`MemoryBank.build`]; also a single item.
            model, processor (*optional*): Passed to [`MemoryBank.attach`] when given.
            batch_size (`int`, defaults to 32): Items per encoder pass.
            on_error (`str`, defaults to `"skip"`): `"skip"` leaves out items that cannot be used, such as one whose id
                is that of a different item in the bank; `"raise"` stops at the first such item and leaves the bank
                unchanged.
            wait (`float`, defaults to 0): Seconds to wait while another process is changing the bank.

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
        return self._add(items, model, processor, batch_size, on_error, wait, replace_known=False)

    def upsert(
        self,
        items: Iterable[MemoryItem] | MemoryItem,
        *,
        model=None,
        processor=None,
        batch_size: int = 32,
        on_error: str = "skip",
        wait: float = 0,
    ) -> list[dict]:
        """Add items, each in the place of the one that has its id, if there is one.

        An item is encoded only if its text or picture is new or another one. Where its metadata alone differs, which
        the memory encoder does not read, the item keeps its vectors and its place, and no model has to be attached.
        An item that cannot be used leaves the one of its id as it was.

        Args:
            items (`Iterable[MemoryItem]`): As in [`MemoryBank.build`]; also a single item. Their metadata replaces all
                that was there; [`MemoryBank.update_metadata`] changes single fields.
            model, processor, batch_size, on_error, wait (*optional*): As in [`MemoryBank.add`].

        Returns:
            `list[dict]`: What was left out, as in [`MemoryBank.add`], with `"repetition": True` for items that the
            bank holds already as they are.

        Raises:
            ValueError: As in [`MemoryBank.add`]; the bank is unchanged.
            OSError: If no space is left; the bank is unchanged.
        """
        return self._add(items, model, processor, batch_size, on_error, wait, replace_known=True)

    def _add(self, items, model, processor, batch_size: int, on_error: str, wait: float, replace_known: bool):
        if model is not None or processor is not None:
            self.attach(model, processor)
        options = {"wait": wait, "replace_known": replace_known}
        left_out = add_items(self._state, items, self._model, self._processor, batch_size, on_error, **options)
        self.reload()
        return left_out

    def update_metadata(self, changes: Mapping[str, Mapping[str, object]], *, wait: float = 0) -> None:
        """Change fields of the metadata of items, without a model: their vectors and places stay.

        Args:
            changes (`Mapping[str, Mapping[str, object]]`): For the id of each item, the fields that change, with their
                new values: `{"lamp-7": {"price": 9.5}}`. A field whose value is `None` is removed.
            wait (`float`, defaults to 0): Seconds to wait while another process is changing the bank.

        Raises:
            KeyError: If the bank has no item with one of the ids; it is a `ValueError`, too. The bank is unchanged.
            ValueError: If `changes` is no such mapping, a value cannot be written as JSON, or another process is
                changing the bank; the bank is unchanged.
            OSError: If no space is left; the bank is unchanged.
        """
        update_metadata(self._state, changes, wait)
        self.reload()

    def remove(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: Mapping[str, object] | None = None,
        wait: float = 0,
    ) -> list[str]:
        """Remove items: searches no longer find them, and earlier hits on them are refused.

        Their texts, pictures and vectors stay in the files of this folder, as others may be reading them. What
        [`MemoryBank.save_pretrained`], [`MemoryBank.push_to_hub`] and [`MemoryBank.merge`] write is without them; to
        be rid of them here, save a copy and delete this folder.

        Args:
            ids (`list[str]`): Ids of the items, or hits.
            where (`dict`, *optional*): In place of `ids`: what the metadata of the items is, as for
                [`MemoryBank.search`].
            wait (`float`, defaults to 0): Seconds to wait while another process is changing the bank.

        Returns:
            `list[str]`: Ids of the items that were removed; none if no item fits `where`.

        Raises:
            KeyError: If the bank has no item with one of the ids; it is a `ValueError`, too. The bank is unchanged.
            ValueError: If `where` is no filter or names a field that no item has, if no item would be left, or if
                another process is changing the bank; the bank is unchanged.
        """
        removed = remove_items(self._state, ids, where, wait)
        self.reload()
        return removed

    def index_words(self, *, wait: float = 0) -> None:
        """Store an index of the words of the items' texts, by which they are found where no embedder reads texts.

        [`MemoryBank.build`] and [`MemoryBank.merge`] do this, and every change keeps it, so it is for banks of older
        versions; without it, each process makes the index in memory at its first search by words. Nothing is encoded:
        only the index, `bank_config.json` and the card are written. A bank that has one stays as it is.

        Args:
            wait (`float`, defaults to 0): Seconds to wait while another process is changing the bank.

        Raises:
            ValueError: If the bank is one of the Hub's cache or of the package, or another process is changing it.
            OSError: If no space is left; the bank is unchanged.
        """
        index_words(self._state, wait)
        self.reload()

    def calibrate(
        self,
        *,
        model=None,
        processor=None,
        pictures: int | None = None,
        batch_size: int = 32,
        wait: float = 0,
    ) -> None:
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
            wait (`float`, defaults to 0): Seconds to wait while another process is changing the bank.

        Raises:
            ValueError: If there are fewer than 8 items with pictures, the embedder does not tell them apart, no
                embedder is attached, or another process is changing the bank.
        """
        if model is not None or processor is not None:
            self.attach(model, processor)
        calibrate_bank(self._state, self._model, pictures, batch_size, wait)
        self.reload()

    @classmethod
    def change_index(
        cls: type[Bank], folder: str | os.PathLike, index_factory: str | None = None, *, wait: float = 0
    ) -> Bank:
        """Make the index of a bank anew, of another kind if wanted; nothing is encoded.

        Embeddings are taken from the bank's files: those of a database, `Flat` and `HNSW` are exact. So a bank whose
        database is lost, or cannot be reached, gets an index again. Who has the bank open calls
        [`MemoryBank.reload`]. Probabilities of hits stay as they are. A table in a shared database stays there.

        Args:
            folder (`str` or `os.PathLike`): The bank.
            index_factory (`str`, *optional*): As in [`MemoryBank.build`].
            wait (`float`, defaults to 0): Seconds to wait while another process is changing the bank.

        Returns:
            `MemoryBank`: The bank, with its new index.

        Raises:
            ValueError: If there is no such index, its library is missing, a file is damaged, or another process is
                changing the bank; the bank is unchanged.
            OSError: If no space is left, or a database does not answer; the bank is unchanged.
        """
        folder = Path(folder)
        IndexKind.of(index_factory).check(folder)
        check_writable(BankState.open(folder, check_index=False))
        with BankWriter(folder, wait, check_index=False) as writer:
            writer.change_index(index_factory)
            writer.commit()
        return cls(folder)

    def reload(self: Bank) -> Bank:
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
