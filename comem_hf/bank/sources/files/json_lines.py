"""Items of a JSONL file."""

from pathlib import Path

from comem_hf.bank.sources.rows.lazy import LazyItems

from .table_files import read_table


EXPORTED_ITEMS = "items.jsonl"  # in a folder that `MemoryBank.export` writes
EXPORTED_PICTURES = "pictures"


def is_export(folder: Path) -> bool:
    """Whether a folder holds what [`MemoryBank.export`] writes and nothing else."""
    names = {path.name for path in folder.iterdir()}
    return EXPORTED_ITEMS in names and names <= {EXPORTED_ITEMS, EXPORTED_PICTURES}


def read_jsonl(path: str | Path) -> LazyItems:
    """Items of a JSONL file, which has one object per line; see [`read_table`].

    Its fields are `image` (a path, relative to the file, a data URL or a base64 string; or another name among
    [`IMAGE_NAMES`]), `text` (or another name, see [`take_text`]) and `id`; any other field becomes metadata, and so do
    the fields of an object `metadata`.

    Raises:
        ValueError: If the file cannot be read.
    """
    return read_table(path)
