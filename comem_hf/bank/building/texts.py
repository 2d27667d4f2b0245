"""What a build found out about the texts of its items."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from transformers.utils import logging

from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.sources.rows.text_of_row import TEXT_NAMES
from comem_hf.modeling.processing_comem import MAX_ITEM_CHARACTERS


logger = logging.get_logger(__name__)

_NAMED_FIELDS = 20  # in a warning


def text_facts(records: Sequence[ItemRecord]) -> dict[str, Any]:
    """Facts about the texts of a shard, for the journal.

    Returns:
        `dict`: `there`, the number of items with a text; `cut`, of those with a longer one than is read; `fields`, if
        no item has a text, the names of the metadata in alphabetical order.
    """
    there = sum(record.text is not None for record in records)
    fields = set() if there else {name for record in records for name in json.loads(record.metadata)}
    return {"there": there, "cut": sum(record.is_cut for record in records), "fields": sorted(fields)[:_NAMED_FIELDS]}


def warn_about_texts(facts: Iterable[dict[str, Any]], num_items: int) -> int:
    """Warn if a text is cut, or if no item has one: a caption under an unknown name would be lost without a word.

    Args:
        facts (`Iterable[dict]`): What [`text_facts`] found in each shard.
        num_items (`int`): Items in all shards.

    Returns:
        `int`: Number of cut texts.
    """
    facts = list(facts)
    cut = sum(each["cut"] for each in facts)
    warn_about_cut_texts(cut, num_items)
    if facts and not any(each["there"] for each in facts):
        fields = sorted({name for each in facts for name in each["fields"]})[:_NAMED_FIELDS]
        seen = f"their fields are {', '.join(fields)}" if fields else "they have no other fields"
        logger.warning(
            f"No item has a text: of {num_items} items only the picture gets into memory; {seen}. A text is looked "
            f"for under the names {', '.join(TEXT_NAMES)}."
        )
    return cut


def warn_about_cut_texts(cut: int, num_items: int) -> None:
    """Warn if texts of items are longer than what the memory encoder reads of them."""
    if cut:
        logger.warning(
            f"Of {num_items} items {cut} have a text of more than {MAX_ITEM_CHARACTERS:,} characters; the memory "
            "encoder reads no further. Make several items of a long text."
        )
