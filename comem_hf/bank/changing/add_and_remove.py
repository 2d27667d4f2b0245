"""Adding items to a bank and removing them."""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from transformers.utils import logging

from comem_hf import default
from comem_hf.bank.building.build_settings import SHARD_SIZE
from comem_hf.bank.building.texts import warn_about_cut_texts
from comem_hf.bank.encoding.encode_rows import check_on_error, encode_rows
from comem_hf.bank.encoding.fit import refuse_other_processor
from comem_hf.bank.encoding.input_rows import InputRow, next_rows, read_rows
from comem_hf.bank.encoding.item_encoder import ItemEncoder, eval_mode
from comem_hf.bank.encoding.skipped import LeftOut, is_other_file, labelled
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.precision import precision_of
from comem_hf.bank.index.default_factory import default_factory
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from comem_hf.bank.pictures.spool import PictureSpool
from comem_hf.modeling.memory_item import MemoryItem

from .rounded_encoder import warn_of_rounded_encoder
from .writer import BankWriter


logger = logging.get_logger(__name__)


def add_items(
    bank: BankState,
    items: Iterable[MemoryItem],
    model,
    processor,
    batch_size: int,
    on_error: str,
    shard_size: int = SHARD_SIZE,
) -> list[dict]:
    """Encode items and add them to a bank; see [`MemoryBank.add`].

    Args:
        bank (`BankState`): The bank, which may have been changed since it was opened.
        items (`Iterable[MemoryItem]`): The items, or mappings of their fields.
        model, processor: The ones that made the bank, or `None` if none are attached.
        batch_size (`int`): Items per encoder pass.
        on_error (`str`): `"skip"` or `"raise"`.
        shard_size (`int`, defaults to 1024): Items per file.

    Returns:
        `list[dict]`: `{"item", "id", "reason"}` for each item that was left out, with `"repetition": True` for
            repetitions and `"other_file": True` for files that were not read.
    """
    check_on_error(on_error)
    check_writable(bank)
    if model is None or processor is None:
        raise ValueError(
            "`add` encodes items with the model that made this bank: call `bank.attach(model, processor)` first."
        )
    embedder = bank.search.embedder()
    config = bank.config
    encoder = ItemEncoder(model, processor, embedder, batch_size, config.memory_dtype, config.num_memory_tokens)
    skipped, repeated, total, cut_texts = [], [], 0, 0
    progress = logging.tqdm(total=operator.length_hint(items) or None, unit="item", desc="Encoding memories")
    with BankWriter(bank.folder) as writer, progress, eval_mode(model), decoder_warnings_logged():
        writer.before.check_adding(model)  # the model and the bank may have changed since it was attached
        # Before the embedder, whose settings have the processor's pixel limits and would not say so.
        refuse_other_processor(writer.before.config, processor, "this model", str(bank.folder))
        writer.before.search.attach(embedder=embedder)
        warn_of_rounded_encoder(writer.before, encoder)
        rows = read_rows(items, embedder)
        while True:
            with PictureSpool(bank.folder) as spool:
                shard = next_rows(rows, shard_size, spool)
                if not shard:
                    break
                encoded = encode_rows(encoder, _mark_known(shard, writer.before), on_error, progress.update)
                if encoded.records:
                    writer.append(encoded.records, encoded.memory, encoded.embeddings, precision_of(model))
            progress.update(len(shard) - encoded.tried)
            skipped += encoded.skipped
            repeated += encoded.repeated
            total += len(shard)
            cut_texts += sum(record.is_cut for record in encoded.records)
        _check_index_fits(writer.before.config, writer.commit())
    counts = LeftOut.of(skipped, total)
    warn_about_cut_texts(cut_texts, counts.items)
    if skipped:
        first = labelled(next((entry for entry in skipped if not is_other_file(entry)), skipped[0]))
        logger.warning(f"{counts.sentence()}. {first}")
    if repeated:  # often wanted: adding the same items again changes nothing
        logger.info(f"{len(repeated)} of {counts.items} items are repetitions of others, and were left out.")
    return sorted([*skipped, *repeated], key=lambda entry: entry["item"])


def remove_items(bank: BankState, ids: Sequence[str]) -> None:
    """Remove items from a bank; see [`MemoryBank.remove`]."""
    if isinstance(ids, str):
        raise ValueError(f"`ids` must be a list of ids, got {ids!r}.")
    check_writable(bank)
    with BankWriter(bank.folder) as writer:
        writer.remove([writer.before.rows.row(item_id) for item_id in ids])
        writer.commit()


def index_words(bank: BankState) -> None:
    """Store a words index of a bank that has none; see [`MemoryBank.index_words`]."""
    check_writable(bank)
    with BankWriter(bank.folder) as writer:
        writer.index_words()
        writer.commit()


def _check_index_fits(before: BankConfig, after: BankConfig) -> None:
    """Warn if the bank has the default index of its old size, and its new size needs another."""
    size, factory = before.embedding_size, before.index["factory"]
    fitting = default_factory(after.num_rows, size)
    if default_factory(before.num_rows, size) == factory != fitting:
        logger.warning(
            f"With {after.num_items} items the bank is too large for its index {factory!r}, so searches will be slow; "
            f"`MemoryBank.merge([bank], output_dir)` makes a bank with the index {fitting!r}."
        )


def check_writable(bank: BankState) -> None:
    """Refuse to change a bank of the Hub's cache, or of the installed package."""
    if bank.fetch is not None:
        raise ValueError(
            f"The bank {str(bank.folder)!r} is a commit of a Hub repository and cannot be changed; `save_pretrained` "
            "it to another folder and change the copy."
        )
    if Path(default.__file__).parent in bank.folder.resolve().parents:
        raise ValueError(
            f"The bank {str(bank.folder)!r} is part of the installed package, and an upgrade would replace it; "
            "`save_pretrained` it to another folder and change the copy."
        )


def _mark_known(rows: Sequence[InputRow], bank: BankState) -> list[InputRow]:
    """Return the same items; those that the bank already holds are marked as repetitions.

    An item whose id is that of a different item in the bank cannot be used; if its id was made from its content, it
    gets another one.
    """
    return [row if row.record is None or row.problem or row.repetition else _compared(row, bank) for row in rows]


def _compared(row: InputRow, bank: BankState) -> InputRow:
    ids = [row.id, *row.record.other_ids]
    known = {item_id: bank.rows.by_id[item_id] for item_id in ids if item_id in bank.rows.by_id}
    for stored in bank.items.read_records(list(known.values())):
        if row.record.same_content(stored):
            repetition = f"it is a repetition of {stored.id!r}, which the bank holds already."
            return replace(row, repetition=row.named(repetition))
    free = [item_id for item_id in ids if item_id not in known]
    if free:
        return row if free[0] == row.id else replace(row, id=free[0], record=replace(row.record, id=free[0]))
    return replace(
        row,
        problem=row.named(
            f"the bank {str(bank.folder)!r} holds another item of that id; `remove([{row.id!r}])` it "
            "first, or give this one another id."
        ),
    )
