"""Changes of an opened memory bank: items added and removed, probabilities fitted, what others have changed."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from comem_hf.bank.changing.add_and_remove import add_items, check_writable, remove_items
from comem_hf.bank.changing.calibrate_bank import calibrate_bank
from comem_hf.bank.changing.writer import BankWriter
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.index.kinds import IndexKind
from comem_hf.bank.opened.state import BankState
from comem_hf.modeling.memory_item import MemoryItem

from .opened_bank import OpenedBank


Bank = TypeVar("Bank", bound="ChangeableBank")


class ChangeableBank(OpenedBank):
    """What [`MemoryBank`] does to the files of its folder, and to see what others have done to them."""

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

    @classmethod
    def change_index(cls: type[Bank], folder: str | os.PathLike, index_factory: str | None = None) -> Bank:
        """Make the index of a bank anew, of another kind if wanted; nothing is encoded.

        Embeddings are taken from the bank's files: those of a database, `Flat` and `HNSW` are exact. So a bank whose
        database is lost, or cannot be reached, gets an index again. Who has the bank open calls
        [`MemoryBank.reload`]. Probabilities of hits stay as they are. A table in a shared database stays there.

        Args:
            folder (`str` or `os.PathLike`): The bank.
            index_factory (`str`, *optional*): As in [`MemoryBank.build`].

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
        with BankWriter(folder, check_index=False) as writer:
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
