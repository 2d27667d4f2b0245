"""Rows of the tables of `datasets`, as they are stored: nothing is decoded."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .without_bytes import without_bytes


if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

BATCH = 1000
STREAMED_BATCH = 16  # rows hold their pictures


class TableRows(Sequence):
    """The rows of a `datasets.Dataset`, which is memory-mapped: a row becomes an object when it is asked for.

    Pictures are given as they are stored (`{"bytes", "path"}`). A data set with a format or transform of the user's
    gives what that makes of its rows.

    Args:
        dataset (`datasets.Dataset`): One split.
    """

    def __init__(self, dataset: "Dataset"):
        self.dataset = dataset
        self.is_plain = dataset.format["type"] is None
        self.tables = dataset.with_format("arrow") if self.is_plain else dataset
        self.decoders = json_columns(dataset.features)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        row = self.tables[int(index)]
        return self._rows(row)[0] if self.is_plain else row

    def __iter__(self) -> Iterator[Any]:
        if not self.is_plain:
            yield from self.dataset
            return
        for table in self.tables.iter(batch_size=BATCH):
            yield from self._rows(table)

    def without_pictures(self) -> Iterator[Any]:
        """Go through the rows, with each content of bytes empty: that of the pictures is not read from the disk."""
        if not self.is_plain:
            yield from self.dataset
            return
        for table in self.tables.iter(batch_size=BATCH):
            yield from self._rows(without_bytes(table))

    def _rows(self, table: pa.Table) -> list[Any]:
        return decoded(table.to_pylist(), self.decoders)


class StreamedTableRows:
    """The rows of a `datasets.IterableDataset`, one after the other.

    Args:
        dataset (`datasets.IterableDataset`): One split.
    """

    def __init__(self, dataset: "IterableDataset"):
        self.dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        if self.dataset.features is None:  # of a generator: its rows are objects already
            yield from self.dataset
            return
        decoders = json_columns(self.dataset.features)
        for table in self.dataset.with_format("arrow").iter(batch_size=STREAMED_BATCH):
            yield from decoded(table.to_pylist(), decoders)


def json_columns(features: Any) -> dict[str, Any]:
    """Return the columns in which there is JSON, as `datasets` stores values of mixed types from version 5 on."""
    return {name: feature for name, feature in (features or {}).items() if _holds_json(feature)}


def decoded(rows: list[dict[str, Any]], columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Decode the JSON in some columns of rows."""
    for row in rows if columns else ():
        row.update({name: _decode(row[name], feature) for name, feature in columns.items() if name in row})
    return rows


def _holds_json(feature: Any) -> bool:
    if isinstance(feature, dict):
        return any(map(_holds_json, feature.values()))
    return type(feature).__name__ == "Json" or any(map(_holds_json, _inner(feature)))


def _decode(value: Any, feature: Any) -> Any:
    if value is None:
        return None
    if type(feature).__name__ == "Json":
        return json.loads(value)
    if isinstance(feature, dict):
        return {key: _decode(each, feature[key]) for key, each in value.items()}
    inner = _inner(feature)
    return [_decode(each, inner[0]) for each in value] if inner else value


def _inner(feature: Any) -> list[Any]:
    """The feature of the elements of a list, in any of the forms that `datasets` has for lists."""
    if isinstance(feature, list | tuple):
        return list(feature[:1])
    return [feature.feature] if hasattr(feature, "feature") else []
