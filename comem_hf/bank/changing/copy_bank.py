"""Copies of banks, checked, and without what was removed."""

import shutil
from pathlib import Path

from comem_hf.bank.opened.integrity import check_files, say_if_changed
from comem_hf.bank.opened.state import BankState
from comem_hf.cards.bank_card import card_for
from comem_hf.cards.template import CARD_NAME
from comem_hf.files.whole_file import write_durably
from comem_hf.files.whole_folder import whole_folder

from .without_removed import without_removed


def copy_bank(bank: BankState, target: Path) -> None:
    """Copy a bank to a folder that is new or empty; the folder appears when the copy is whole and checked.

    Removed items are not copied. A bank without any is copied byte for byte.

    Args:
        bank (`BankState`): The bank, with all its files.
        target (`Path`): The folder.

    Raises:
        ValueError: If `target` is not empty, a file of the bank is damaged, or the bank has been changed meanwhile.
        OSError: If no space is left; there is no copy then.
    """
    with whole_folder(target, "save_directory") as copy, say_if_changed(bank.folder, bank.config):
        check_files(bank.folder, bank.config, hash_up_to=0)
        clean = without_removed(bank, copy)
        clean.config.save(copy)  # not a copy of the file, which may be of a later state by now
        for name, source in clean.sources.items():
            if source.parent != copy:
                write_durably(copy / name, lambda path, source=source: shutil.copyfile(source, path))
        if not (copy / CARD_NAME).exists():
            card = card_for(bank.folder, bank.config)
            write_durably(copy / CARD_NAME, lambda path: path.write_bytes(card))
        check_files(copy, clean.config)
