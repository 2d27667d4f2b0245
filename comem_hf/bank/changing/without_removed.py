"""A bank without removed items and changed metadata: shards that hold any are written anew, and so is the index."""

import re
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.file_names import embeddings_name, items_name, memory_name
from comem_hf.bank.format.items import write_items
from comem_hf.bank.index.build_index import EMBEDDINGS_KEY
from comem_hf.bank.index.index import WriteFile
from comem_hf.bank.index.kinds import make_index, open_index
from comem_hf.bank.opened.integrity import check_files
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.words.tokens import WORD_RULES
from comem_hf.bank.words.words_file import write_words
from comem_hf.cards.bank_card import is_edited, render_card
from comem_hf.cards.template import CARD_NAME
from comem_hf.files.whole_file import write_durably


_SHARD = re.compile("memory|items")


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
    which nothing is left goes, and those behind it move up. One shard and the index are in memory at a time. If the
    index is in a database, the bank gets one of FAISS, made of the embeddings: a database belongs to one folder.

    Args:
        bank (`BankState`): The bank, which stays as it is.
        folder (`Path`): Where new files are written.

    Raises:
        ValueError: If a file that is written anew is damaged, or the bank has been changed meanwhile.
        OSError: If no space is left.
    """
    config = bank.config
    if config.removed is None and config.changed_metadata is None and not config.stores_embeddings:
        return CleanBank(config, {name: bank.folder / name for name in config.data_files()})
    check_files(bank.folder, config, names=[name for name in config.data_files() if not _SHARD.match(name)])
    keeps_rows = config.removed is None and not config.stores_embeddings
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
    words = config.words
    if keeps_rows:
        block = config.index
        for name in (*config.index_files, *([words["file"]] if words else [])):
            use(name, name)
    else:
        block = _write_index(bank, live, folder, write)
        if words:
            write(words["file"], lambda path: write_words(path, bank.words.postings.kept(live)))
            words = {**words, "rules": WORD_RULES}
    clean = replace(
        config,
        shard_sizes=shard_sizes,
        files=files,
        index=block,
        words=words,
        removed=None,
        changed_metadata=None,
    )
    if not is_edited(bank.folder / CARD_NAME, config):
        card = render_card(clean).encode()
        files[CARD_NAME] = write_durably(folder / CARD_NAME, lambda path: path.write_bytes(card))
    return CleanBank(clean, sources)


def _write_index(bank: BankState, live: np.ndarray, folder: Path, write: WriteFile) -> dict:
    """Write the index of the rows that stay; return the `index` of the configuration."""
    config = bank.config
    if config.stores_embeddings:
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            paths, start = [], 0
            for shard, size in enumerate(config.shard_sizes):
                rows, start = live[start : start + size], start + size
                if rows.any():
                    paths.append(Path(temporary) / embeddings_name(shard))
                    save_arrays({EMBEDDINGS_KEY: bank.index.vectors(start - size, size)[rows]}, paths[-1])
            made = make_index(Path(temporary), paths, config.metric)
            write(made.block["file"], made.index.save)
            return made.block
    index = open_index(bank.folder, config, writable=True)
    index.keep(live)
    if "kind" in config.index:
        return index.write(config.index, config.generation, write)
    write(config.index["file"], index.save)
    return {**config.index, "nprobe": index.nprobe}
