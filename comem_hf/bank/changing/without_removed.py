"""A bank without removed items and changed metadata: shards that hold any are written anew, and so is the index."""

from dataclasses import dataclass, replace
from functools import partial
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
    """What a bank consists of once its shards hold its items and nothing else.

    Args:
        config (`BankConfig`): Its configuration; that of the bank itself if nothing was removed or changed.
        sources (`dict[str, Path]`): Where each data file lies now, by the name that it has in `config`.
    """

    config: BankConfig
    sources: dict[str, Path]


def without_removed(bank: BankState, folder: Path) -> CleanBank:
    """Write the files that hold removed items or changed metadata anew; the others are used as they are.

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
    if config.removed is None and config.changed_metadata is None:
        return CleanBank(config, {name: bank.folder / name for name in config.data_files()})
    words = [config.words["file"]] if config.words else []
    index_name = config.index["file"]
    check_files(
        bank.folder, config, names=[*filter(None, (config.removed, config.changed_metadata)), index_name, *words]
    )
    live = np.ones(config.num_rows, dtype=bool)
    live[bank.removed] = False
    files, sources, shard_sizes = dict(config.files), {}, []
    for name in config.data_files():
        del files[name]

    def write(name: str, content) -> None:
        files[name], sources[name] = write_durably(folder / name, content), folder / name

    def write_vectors(path: Path, rows: list[int]) -> None:
        save_file(bank.vectors.read_stored(rows), path)

    def write_rows(path: Path, rows: list[int]) -> None:
        write_items(path, bank.items.read_records(rows))

    def use(old: str, name: str, content=None) -> None:
        """Write a file of a shard anew if there is a content, else use it as it is."""
        if content is None:
            files[name], sources[name] = config.files[old], bank.folder / old
            return
        if bank.fetch is not None:
            bank.fetch([old])
        check_files(bank.folder, config, names=[old])  # else damaged data would get a valid checksum
        write(name, content)

    end = 0
    for shard, size in enumerate(config.shard_sizes):
        changed = bank.changed.among(end, end + size)
        rows, end = (np.flatnonzero(live[end : end + size]) + end).tolist(), end + size
        if not rows:
            continue
        is_smaller, number = len(rows) < size, len(shard_sizes)
        use(memory_name(shard), memory_name(number), partial(write_vectors, rows=rows) if is_smaller else None)
        is_other = is_smaller or changed.start < changed.stop
        use(items_name(shard), items_name(number), partial(write_rows, rows=rows) if is_other else None)
        shard_sizes.append(len(rows))
    nprobe, word_rules = config.index.get("nprobe"), config.words and config.words["rules"]
    if config.removed is None:
        for name in (index_name, *words):
            use(name, name)
    else:
        index = open_index(bank.folder, config, writable=True)
        index.keep(live)
        write(index_name, index.save)
        nprobe = index.nprobe
        for name in words:
            write(name, lambda path: write_words(path, bank.words.postings.kept(live)))
            word_rules = WORD_RULES
    clean = replace(
        config,
        shard_sizes=shard_sizes,
        files=files,
        index={**config.index, "nprobe": nprobe},
        words=config.words and {**config.words, "rules": word_rules},
        removed=None,
        changed_metadata=None,
    )
    if not is_edited(bank.folder / CARD_NAME, config):
        card = render_card(clean).encode()
        files[CARD_NAME] = write_durably(folder / CARD_NAME, lambda path: path.write_bytes(card))
    return CleanBank(clean, sources)
