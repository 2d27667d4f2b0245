"""Merging several banks into one, or copying a bank without its removed items."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors
from transformers.utils import logging

from comem_hf.bank.format.file_names import WORDS_NAME, embeddings_name, items_name, memory_name
from comem_hf.bank.format.items import write_items
from comem_hf.bank.format.precision import coarsest
from comem_hf.bank.index.build_index import EMBEDDINGS_KEY
from comem_hf.bank.index.kinds import IndexKind, make_index
from comem_hf.bank.opened.integrity import check_files
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.words.postings import PostingsBuilder
from comem_hf.bank.words.tokens import WORD_RULES
from comem_hf.bank.words.words_file import write_words
from comem_hf.cards.bank_card import write_card
from comem_hf.cards.template import CARD_NAME
from comem_hf.files.whole_file import write_durably
from comem_hf.files.whole_folder import whole_folder


_MUST_AGREE = (
    "memory_fingerprint",
    "num_memory_tokens",
    "hidden_size",
    "memory_dtype",
    "embedder",
    "embedding_size",
    "metric",
)
ON_CONFLICT = ("raise", "first")
_BLOCK = 2**14  # vectors that are read from an index at once; each time, all inverted lists are searched for them


def merge_banks(
    banks: Sequence[BankState], output: Path, on_conflict: str, shard_size: int, index_factory: str | None
) -> None:
    """Merge banks whose files are all present; see [`MemoryBank.merge`]."""
    if on_conflict not in ON_CONFLICT:
        raise ValueError(f"`on_conflict` must be 'raise' or 'first', got {on_conflict!r}.")
    if not isinstance(shard_size, int) or shard_size < 1:
        raise ValueError(f"`shard_size` must be a positive integer, got {shard_size!r}.")
    if not banks:
        raise ValueError("There are no banks to merge.")
    _check_alike(banks)
    IndexKind.of(index_factory).check(output)
    with whole_folder(output, "output_dir") as folder:
        for bank in banks:  # otherwise damaged data would be copied and get a valid checksum
            check_files(bank.folder, bank.config)
        _write(banks, _choose(banks, on_conflict), folder, shard_size, index_factory)


def _check_alike(banks: Sequence[BankState]) -> None:
    first = banks[0]
    for bank in banks[1:]:
        for name in _MUST_AGREE:
            expected, found = getattr(first.config, name), getattr(bank.config, name)
            if found != expected:
                raise ValueError(
                    f"Banks can only be merged if they are alike, but `{name}` is {expected!r} in "
                    f"{str(first.folder)!r} and {found!r} in {str(bank.folder)!r}."
                )
    known = [bank for bank in banks if bank.config.processor is not None]  # banks of older versions do not say
    for bank in known[1:]:
        expected, found = known[0].config.processor, bank.config.processor
        for name in sorted(expected.keys() & found.keys()):
            if found[name] != expected[name]:
                raise ValueError(
                    f"Banks can only be merged if their items were prepared alike, but the processor had `{name}` "
                    f"{expected[name]!r} for {str(known[0].folder)!r} and {found[name]!r} for {str(bank.folder)!r}."
                )


def _choose(banks: Sequence[BankState], on_conflict: str) -> list[list[int]]:
    """Rows of each bank that go into the merged one: of items with the same id only the first."""
    seen: dict[str, tuple[int, int]] = {}
    chosen = []
    for number, bank in enumerate(banks):
        rows = []
        for item_id, row in bank.rows.by_id.items():
            other_number, other_row = seen.setdefault(item_id, (number, row))
            other = banks[other_number]
            if other_number == number:
                rows.append(row)
            elif on_conflict == "raise":
                record, known = bank.items.read_records([row])[0], other.items.read_records([other_row])[0]
                if not record.same_content(known):
                    raise ValueError(
                        f"{str(other.folder)!r} and {str(bank.folder)!r} hold different items with id {item_id!r}: "
                        "remove one of them, or pass `on_conflict='first'` to keep the item of the first bank."
                    )
        chosen.append(rows)
    return chosen


def _write(banks, chosen, folder: Path, shard_size: int, index_factory: str | None) -> None:
    read_block = block_reader(banks)
    files, shard_sizes, embeddings, cut_texts, words = {}, [], [], 0, PostingsBuilder()
    total = sum(len(rows) for rows in chosen)
    with logging.tqdm(total=total, unit="item", desc="Merging") as progress:
        for shard, parts in enumerate(_shards(chosen, shard_size)):
            records = [record for bank, rows in parts for record in banks[bank].items.read_records(rows)]
            memory = [banks[bank].vectors.read_stored(rows) for bank, rows in parts]
            stored = {key: torch.cat([part[key] for part in memory]) for key in memory[0]}
            vectors = np.concatenate([embeddings_of(read_block, bank, rows) for bank, rows in parts])
            contents = {
                memory_name(shard): lambda path, stored=stored: save_tensors(stored, path),
                items_name(shard): lambda path, records=records: write_items(path, records),
            }
            files |= {name: write_durably(folder / name, write) for name, write in contents.items()}
            embeddings.append(folder.with_name(embeddings_name(shard)))  # beside the bank: only the index needs them
            write_durably(embeddings[-1], lambda path, vectors=vectors: save_file({EMBEDDINGS_KEY: vectors}, path))
            shard_sizes.append(len(records))
            cut_texts += sum(record.is_cut for record in records)
            for record in records:
                words.add(record.text)
            progress.update(len(records))
    config = banks[0].config
    made = make_index(folder, embeddings, config.metric, index_factory)
    files |= made.files
    files[WORDS_NAME] = write_durably(folder / WORDS_NAME, lambda path: write_words(path, words.build()))
    merged = replace(
        config,
        num_items=total,
        shard_sizes=shard_sizes,
        files=files,
        index=made.block,
        words={"file": WORDS_NAME, "rules": WORD_RULES},
        generation=0,
        removed=None,
        changed_metadata=None,
        cut_texts=cut_texts,
        license=config.license if len({bank.config.license for bank in banks}) == 1 else None,
        picture_rules=min(bank.config.picture_rules for bank in banks),
        precision=coarsest(bank.config.precision for bank in banks),
        processor=config.processor if all(bank.config.processor is not None for bank in banks) else None,
        calibration=None,  # of another index, and of other neighbours
    )
    merged.files[CARD_NAME] = write_card(folder, merged)
    merged.save(folder)


def _shards(chosen: Sequence[list[int]], shard_size: int) -> Iterator[list[tuple[int, list[int]]]]:
    """The rows of each new shard: (number of a bank, its rows) of every bank that has a part in it."""
    parts, missing = [], shard_size
    for bank, rows in enumerate(chosen):
        start = 0
        while start < len(rows):
            part = rows[start : start + missing]
            parts.append((bank, part))
            start, missing = start + len(part), missing - len(part)
            if missing == 0:
                yield parts
                parts, missing = [], shard_size
    if parts:
        yield parts


def block_reader(banks: Sequence[BankState]) -> Callable[[int, int], np.ndarray]:
    """A function that reads a block of embeddings from the index of a bank; the last block is remembered."""

    @lru_cache(1)
    def read(bank: int, block: int) -> np.ndarray:
        first = block * _BLOCK
        return banks[bank].index.vectors(first, min(_BLOCK, banks[bank].config.num_rows - first))

    return read


def embeddings_of(read: Callable[[int, int], np.ndarray], bank: int, rows: list[int]) -> np.ndarray:
    """Embeddings of ascending rows of a bank."""
    blocks, places = np.divmod(rows, _BLOCK)
    return np.concatenate([read(bank, block)[places[blocks == block]] for block in np.unique(blocks).tolist()])
