"""Adding items to a bank, replacing and removing them."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
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
    wait: float = 0,
    replace_known: bool = False,
    shard_size: int = SHARD_SIZE,
) -> list[dict]:
    """Encode items and add them to a bank; see [`MemoryBank.add`] and [`MemoryBank.upsert`].

    Args:
        bank (`BankState`): The bank, which may have been changed since it was opened.
        items (`Iterable[MemoryItem]`): The items, or mappings of their fields; also a single one.
        model, processor: The ones that made the bank, or `None` if none are attached.
        batch_size (`int`): Items per encoder pass.
        on_error (`str`): `"skip"` or `"raise"`.
        wait (`float`, defaults to 0): Seconds to wait for another process that is changing the bank.
        replace_known (`bool`, defaults to `False`): Whether an item takes the place of another one of its id; then no
            model is needed where text and picture stay.
        shard_size (`int`, defaults to 1024): Items per file.

    Returns:
        `list[dict]`: `{"item", "id", "reason"}` for each item that was left out, with `"repetition": True` for
            repetitions and `"other_file": True` for files that were not read.
    """
    check_on_error(on_error)
    check_writable(bank)
    items = [items] if isinstance(items, (MemoryItem, Mapping)) else items
    has_model = model is not None and processor is not None
    if not has_model and not replace_known:
        raise ValueError(
            "`add` encodes items with the model that made this bank: call `bank.attach(model, processor)` first."
        )
    embedder = bank.search.embedder() if has_model else None
    config = bank.config
    encoder = ItemEncoder(model, processor, embedder, batch_size, config.memory_dtype, config.num_memory_tokens)
    skipped, repeated, total, cut_texts = [], [], 0, 0
    progress = logging.tqdm(total=operator.length_hint(items) or None, unit="item", desc="Encoding memories")
    in_eval_mode = eval_mode(model) if has_model else nullcontext()
    with BankWriter(bank.folder, wait) as writer, progress, in_eval_mode, decoder_warnings_logged():
        if has_model:
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
                compared = _compared_with(writer.before, shard, replace_known)
                if not has_model and (row := next(filter(_is_to_encode, compared.rows), None)):
                    raise ValueError(
                        row.named(
                            "its text or picture is not one that the bank holds under its id, and to encode it, the "
                            "model that made this bank is needed: call `bank.attach(model, processor)` first."
                        )
                    )
                encoded = encode_rows(encoder, compared.rows, on_error, progress.update)
                if encoded.records:
                    writer.append(encoded.records, encoded.memory, encoded.embeddings, precision_of(model))
                writer.remove([compared.replaced[each.id] for each in encoded.records if each.id in compared.replaced])
                writer.change_metadata(compared.metadata)
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


def remove_items(
    bank: BankState, ids: Sequence[str] | None, where: Mapping[str, object] | None = None, wait: float = 0
) -> list[str]:
    """Remove items from a bank; see [`MemoryBank.remove`]."""
    if (ids is None) == (where is None):
        given = "neither" if ids is None else "both"
        raise ValueError(f"`remove` takes the `ids` of items or a `where` that they fit, got {given}.")
    check_writable(bank)
    with BankWriter(bank.folder, wait) as writer:
        now = writer.before
        rows = now.rows.rows_of(ids) if where is None else now.search.rows_that_fit(where).tolist()
        writer.remove(rows)
        writer.commit()
    names = now.items.read_ids() if rows else []
    return [names[row] for row in dict.fromkeys(rows)]


def index_words(bank: BankState, wait: float = 0) -> None:
    """Store a words index of a bank that has none; see [`MemoryBank.index_words`]."""
    check_writable(bank)
    with BankWriter(bank.folder, wait) as writer:
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


@dataclass
class _Compared:
    """Items beside those that the bank holds.

    Args:
        rows (`list[InputRow]`): The items; those that the bank already holds are marked as repetitions.
        replaced (`dict[str, int]`): Rows of the bank whose items others take the place of, by their ids.
        metadata (`dict[int, str]`): Rows of the bank of which only the metadata changes, and what it becomes.
    """

    rows: list[InputRow] = field(default_factory=list)
    replaced: dict[str, int] = field(default_factory=dict)
    metadata: dict[int, str] = field(default_factory=dict)


def _compared_with(bank: BankState, rows: Sequence[InputRow], replace_known: bool) -> _Compared:
    """Compare items with those of the bank.

    An item whose id is that of a different item in the bank takes its place or cannot be used; if its id was made from
    its content, it gets another one.
    """
    compared = _Compared()
    for row in rows:
        if not _is_to_encode(row):
            compared.rows.append(row)
            continue
        ids = [row.id, *row.record.other_ids]
        known = {item_id: bank.rows.by_id[item_id] for item_id in ids if item_id in bank.rows.by_id}
        stored = {record.id: record for record in bank.items.read_records(list(known.values()))}
        same = next((each for each in stored.values() if row.record.same_content(each)), None)
        free = [item_id for item_id in ids if item_id not in known]
        if same is not None and (not replace_known or same.id != row.id or same.metadata == row.record.metadata):
            repetition = f"it is a repetition of {same.id!r}, which the bank holds already."
            compared.rows.append(replace(row, repetition=row.named(repetition)))
        elif same is None and free:
            compared.rows.append(replace(row, id=free[0], record=replace(row.record, id=free[0])))
        elif not replace_known:
            problem = (
                f"the bank {str(bank.folder)!r} holds another item of that id; `remove([{row.id!r}])` it first, "
                "`upsert` this one in its place, or give this one another id."
            )
            compared.rows.append(replace(row, problem=row.named(problem)))
        elif row.record.same_knowledge(stored[row.id]):
            compared.metadata[known[row.id]] = row.record.metadata
        else:
            compared.rows.append(row)
            compared.replaced[row.id] = known[row.id]
    return compared


def _is_to_encode(row: InputRow) -> bool:
    return row.record is not None and not row.problem and not row.repetition
