"""A bank without the items that were removed: shards that hold any are written anew, and so is the index."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from comem_hf.bank.format.config import BankConfig, items_name, memory_name
from comem_hf.bank.format.items import write_items
from comem_hf.bank.index.faiss_index import open_index
from comem_hf.bank.opened.integrity import check_files
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.words.tokens import WORD_RULES
from comem_hf.bank.words.words_file import write_words
from comem_hf.cards.bank_card import is_edited, render_card
from comem_hf.cards.template import CARD_NAME
from comem_hf.files.whole_file import write_durably


@dataclass(frozen=True)
class CleanBank:
    """What a bank consists of once its removed items are gone.

    Args:
        config (`BankConfig`): Its configuration; that of the bank itself if nothing was removed.
        sources (`dict[str, Path]`): Where each data file lies now, by the name that it has in `config`.
    """

    config: BankConfig
    sources: dict[str, Path]


def without_removed(bank: BankState, folder: Path) -> CleanBank:
    """Write the files that hold removed items anew, without these; the others are used as they are.

    Vectors and codes are copied, not computed, so that searches find the same items with the same scores. A shard of
    which nothing is left goes, and those behind it move up. One shard and the index are in memory at a time.

    Args:
        bank (`BankState`): The bank, which stays as it is.
        folder (`Path`): Where new files are written.

    Raises:
        ValueError: If a file that is written anew is damaged, or the bank has been changed meanwhile.
        OSError: If no space is left.
    """
    config = bank.config
    if config.removed is None:
        return CleanBank(config, {name: bank.folder / name for name in config.data_files()})
    words = [config.words["file"]] if config.words else []
    check_files(bank.folder, config, names=[config.removed, config.index["file"], *words])
    live = np.ones(config.num_rows, dtype=bool)
    live[bank.removed] = False
    files, sources, shard_sizes = dict(config.files), {}, []
    for name in config.data_files():
        del files[name]

    def write(name: str, content) -> None:
        files[name], sources[name] = write_durably(folder / name, content), folder / name

    end = 0
    for shard, size in enumerate(config.shard_sizes):
        rows, end = (np.flatnonzero(live[end : end + size]) + end).tolist(), end + size
        if not rows:
            continue
        memory, items = memory_name(len(shard_sizes)), items_name(len(shard_sizes))
        shard_sizes.append(len(rows))
        if len(rows) < size:
            old = [memory_name(shard), items_name(shard)]
            if bank.fetch is not None:
                bank.fetch(old)
            check_files(bank.folder, config, names=old)  # else damaged data would get a valid checksum
            write(memory, lambda path, rows=rows: save_file(bank.vectors.read_stored(rows), path))
            write(items, lambda path, rows=rows: write_items(path, bank.items.read_records(rows)))
            continue
        for old, name in ((memory_name(shard), memory), (items_name(shard), items)):
            files[name], sources[name] = config.files[old], bank.folder / old
    name = config.index["file"]
    index = open_index(bank.folder, config, writable=True)
    index.keep(live)
    write(name, index.save)
    for name in words:
        write(name, lambda path: write_words(path, bank.words.postings.kept(live)))
    clean = replace(
        config,
        shard_sizes=shard_sizes,
        files=files,
        index={**config.index, "nprobe": index.nprobe},
        words=config.words and {**config.words, "rules": WORD_RULES},
        removed=None,
    )
    if not is_edited(bank.folder / CARD_NAME, config):
        card = render_card(clean).encode()
        files[CARD_NAME] = write_durably(folder / CARD_NAME, lambda path: path.write_bytes(card))
    return CleanBank(clean, sources)
