"""Filters: which rows of a bank have metadata that fits a `where`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain

import numpy as np
from transformers.utils import logging

from comem_hf.bank.filtering.conditions import Condition, Group, parse_where
from comem_hf.bank.filtering.evaluate import Column, columns_of, evaluate
from comem_hf.bank.filtering.field_values import FieldValues, kind_of, structure_text
from comem_hf.bank.filtering.fields import names_in, unknown_field, values_of
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.index.index import Selection


logger = logging.get_logger(__name__)

_REMEMBERED = 64  # filters; each takes a bit per item
_KEPT_COLUMNS = 32  # fields; a number takes eight bytes per item
# Rows. Together they are parsed in half the time of one by one, but with more objects at a time, Python's garbage
# collector would look through all there are again and again, which takes longer than the parsing.
_PARSED_TOGETHER = 64


class MetadataFilter:
    """Finds the rows that fit a `where` of [`MemoryBank.search`], and remembers them.

    The first use of a field reads the metadata of all items, which takes a second or two per million of them; fields
    of one filter are read together. Later filters over the same fields take a hundredth of that.

    Args:
        items (`StoredItems`): Items of the bank.
        live (`np.ndarray`, *optional*): Which rows have not been removed, bool of shape (rows,); all if not given.
    """

    def __init__(self, items: StoredItems, live: np.ndarray | None = None):
        self.items = items
        self.live = live
        self._columns: dict[Column, list[FieldValues]] = {}
        self._names: set[str] | None = None
        self._select = lru_cache(_REMEMBERED)(self._find)

    def select(self, where: Mapping[str, object]) -> Selection:
        """Return the rows that fit a filter.

        Args:
            where (`Mapping[str, object]`): See [`parse_where`] and [`evaluate`].

        Raises:
            ValueError: If `where` is no filter, or it names an operator that does not exist or a field that no item
                has; the message lists those that exist.
        """
        return self._select(_Key(parse_where(where)))

    def kinds(self, field: str) -> frozenset[str]:
        """Return the kinds of values that a field has: `"number"`, `"string"`, `"boolean"`, `"list"`, `"object"`.

        Raises:
            ValueError: If no item has the field; the message lists those that items have.
        """
        [parts] = self._read([(field, False)]).values()
        return frozenset(chain.from_iterable(part.kinds for part in parts))

    def _find(self, key: "_Key") -> Selection:
        conditions = list(key.filter.conditions())
        columns = self._read(list(dict.fromkeys(column for each in conditions for column in columns_of(each))))
        self._check_objects(conditions)
        for condition in conditions:
            kinds = chain.from_iterable(part.kinds for part in columns[condition.field, False])
            if problem := _mismatch(condition, frozenset(kinds)):
                logger.warning(problem)
        masks = []
        for shard, count in enumerate(self.items.config.shard_sizes):
            masks.append(evaluate(key.filter, {name: parts[shard] for name, parts in columns.items()}, count))
        fitting = np.concatenate(masks)
        return Selection.of(fitting if self.live is None else fitting & self.live)

    def _read(self, wanted: Sequence[Column]) -> dict[Column, list[FieldValues]]:
        """Return columns, each in parts of a shard."""
        known = {column: self._columns[column] for column in wanted if column in self._columns}
        missing = {column: [] for column in wanted if column not in known}
        if missing:
            for shard in self._metadata():
                values = {column: [] for column in missing}
                for metadata in shard:
                    for (field, as_text), known_values in values.items():
                        found = values_of(metadata, field)
                        known_values += map(structure_text, found) if as_text else found
                for column, parts in missing.items():
                    parts.append(FieldValues.of(values[column]))
        for (field, as_text), parts in missing.items():
            if not as_text and not any(part.kinds for part in parts):
                self._check_field(field)
        kept = {**{name: parts for name, parts in self._columns.items() if name not in known}, **known, **missing}
        self._columns = dict(list(kept.items())[-max(_KEPT_COLUMNS, len(wanted)) :])  # the latest come last
        return {**known, **missing}

    def _check_field(self, field: str) -> None:
        if self._names is None:
            slices = chain.from_iterable(self._metadata())
            self._names = names_in(chain.from_iterable(slices))
        if field not in self._names:
            raise ValueError(unknown_field(field, self._names))

    def _check_objects(self, conditions: Sequence[Condition]) -> None:
        """Refuse objects that no value can equal, such as `{"gte": 30}` without its `$`."""
        for condition in conditions:
            if condition.operator in ("$eq", "$ne") and isinstance(condition.operand, dict):
                for name in condition.operand:
                    self._check_field(f"{condition.field}.{name}")

    def _metadata(self) -> Iterator[Iterator[list[dict]]]:
        """The metadata of each shard, a few rows at a time; that of removed rows is empty."""
        start = 0
        for column in self.items.read_column("metadata"):
            texts = column.to_pylist()
            if self.live is not None:
                live = self.live[start : start + len(texts)].tolist()
                texts = [text if lives else "{}" for text, lives in zip(texts, live, strict=True)]
            yield _parsed(texts, start)
            start += len(texts)


class _Key:
    """A filter that can be looked up by what it says: as text, 1 differs from true."""

    def __init__(self, group: Group):
        self.filter = group
        self.text = repr(group)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def _parsed(texts: list[str], start: int) -> Iterator[list[dict]]:
    for first in range(0, len(texts), _PARSED_TOGETHER):
        part = texts[first : first + _PARSED_TOGETHER]
        try:
            metadata = json.loads(f"[{','.join(part)}]")
        except ValueError:
            metadata = []
        if len(metadata) != len(part) or not all(type(each) is dict for each in metadata):
            raise _damaged(part, start + first)
        yield metadata


def _damaged(texts: list[str], start: int) -> ValueError:
    for row, text in enumerate(texts, start):
        try:
            good = isinstance(json.loads(text), dict)
        except ValueError:
            good = False
        if not good:
            return ValueError(f"The metadata of row {row} is no JSON object: {text[:100]!r}.")
    return ValueError(f"The metadata of the rows from {start} on is no JSON.")


def _mismatch(condition: Condition, kinds: frozenset[str]) -> str | None:
    """Say that no value of a field is of the kind that a condition compares with."""
    if condition.operator == "$exists" or not kinds:
        return None
    operands = condition.operand if condition.operator in ("$in", "$nin") else [condition.operand]
    wanted = {kind_of(operand) for operand in operands} - {None}
    if condition.operator == "$contains":
        wanted = {"list"} | wanted & {"string"}
    if not wanted or wanted & kinds:
        return None
    hint = "; `$contains` looks into lists" if "list" in kinds and condition.operator != "$contains" else ""
    if "boolean" in kinds and any(str(operand).lower() in ("true", "false") for operand in operands):
        hint = "; true and false are written without quotes"
    return (
        f"The filter compares the field {condition.field!r} with {', '.join(map(repr, operands))}, but it holds "
        f"{' and '.join(sorted(f'{kind}s' for kind in kinds))} here, which never compare with that{hint}."
    )
