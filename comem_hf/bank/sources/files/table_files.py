"""Items of files with rows: CSV, JSON, JSONL and Parquet."""

from collections.abc import Callable
from pathlib import Path

from comem_hf.bank.sources.places.picture_places import PicturePlaces
from comem_hf.bank.sources.rows.columns import Columns
from comem_hf.bank.sources.rows.items import items_of_table
from comem_hf.bank.sources.rows.lazy import LazyItems
from comem_hf.files.tables.arrow_rows import parquet_table
from comem_hf.files.tables.csv_rows import csv_table
from comem_hf.files.tables.json_rows import json_table
from comem_hf.files.tables.opened import suffix_of
from comem_hf.files.tables.table import Table


CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
JSON_SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz")
TABLE_SUFFIXES = (*CSV_SUFFIXES, *JSON_SUFFIXES, ".parquet")
_EXCEL = (".xlsx", ".xls", ".ods")


def read_table(
    path: str | Path,
    columns: Columns | None = None,
    *,
    images: str | Path | None = None,
    urls: bool = False,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> LazyItems:
    """Items of a file with rows, of which one at a time is in memory.

    Paths in it may be absolute and lead anywhere: check the paths in a file that others wrote before you use it.

    Args:
        path (`str` or `Path`): A file that ends with `.csv` or `.tsv` ([`csv_table`]), `.jsonl`, `.ndjson` or `.json`
            ([`json_table`]), each also with `.gz`, or `.parquet`.
        columns ([`Columns`], *optional*): Those of picture, text and id.
        images (`str` or `Path`, *optional*): Folder that relative paths of pictures start from; that of the file if
            not given.
        urls (`bool`, *optional*, defaults to `False`): Fetch pictures that are addresses on the web.
        encoding, delimiter (`str`, *optional*): Those of a CSV file; found out if not given.

    Raises:
        ValueError: If the file cannot be read, or has no such column.
    """
    path = Path(path)
    pictures = PicturePlaces(path.parent if images is None else Path(images), urls)
    return items_of_table(open_table(path, encoding, delimiter), columns or Columns(), pictures)


def open_table(path: Path, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Open a file with rows by its ending, which is one of [`TABLE_SUFFIXES`]."""
    suffix = suffix_of(path)
    if suffix in CSV_SUFFIXES:
        return csv_table(path, encoding, delimiter)
    read: Callable[[Path], Table] = parquet_table if suffix == ".parquet" else json_table
    return read(path)


def is_table(path: Path) -> bool:
    """Whether [`read_table`] reads files of this name."""
    return suffix_of(path) in TABLE_SUFFIXES


def why_no_table(path: Path) -> str | None:
    """Why a file whose ending says that it is a table is not read."""
    if suffix_of(path) in _EXCEL:
        return "it is a spreadsheet: save it as CSV"
    return None
