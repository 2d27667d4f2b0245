"""Writing the items of a bank as JSONL with pictures, or as Parquet: what a source reads again."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

import PIL.Image

from comem_hf.bank.format.items import ROWS_PER_GROUP, write_items
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.sources.files.json_lines import EXPORTED_ITEMS, EXPORTED_PICTURES
from comem_hf.files.whole_file import write_durably
from comem_hf.files.whole_folder import whole_folder


_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


def export_items(bank: BankState, path: Path, where: Mapping[str, object] | None) -> int:
    """Write items to files; see [`MemoryBank.export`].

    Args:
        bank (`BankState`): The bank.
        path (`Path`): A file that ends with `.parquet`, or a folder.
        where (`Mapping[str, object]`, *optional*): What the metadata of the items must be.

    Returns:
        `int`: Number of the items.
    """
    rows = bank.rows.live_rows() if where is None else bank.search.rows_that_fit(where)
    records = _records(bank, rows.tolist())
    if path.suffix.lower() == ".parquet":
        if path.exists():
            raise ValueError(f"`path` {str(path)!r} exists already; choose another name.")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, lambda unfinished: write_items(unfinished, records))
        return len(rows)
    with whole_folder(path, "path", inputs=(bank.folder,)) as folder:
        with (folder / EXPORTED_ITEMS).open("w", encoding="utf-8", newline="\n") as file:
            for number, record in enumerate(records):
                _write(record, number, folder, file)
    return len(rows)


def _records(bank: BankState, rows: list[int]) -> Iterator[ItemRecord]:
    for start in range(0, len(rows), ROWS_PER_GROUP):
        yield from bank.items.read_records(rows[start : start + ROWS_PER_GROUP])


def _write(record: ItemRecord, number: int, folder: Path, file: TextIO) -> None:
    row = {"id": record.id}
    if record.image is not None:
        # Numbered: names of a bank may come from strangers, and two items may have the same.
        name = f"{number:06d}{_suffix(record)}"
        row["image"] = f"{EXPORTED_PICTURES}/{name}"
        (folder / EXPORTED_PICTURES).mkdir(exist_ok=True)
        (folder / EXPORTED_PICTURES / name).write_bytes(record.image)
    if record.text is not None:
        row["text"] = record.text
    if (metadata := json.loads(record.metadata)) != {}:
        row["metadata"] = metadata
    file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _suffix(record: ItemRecord) -> str:
    """The ending of the picture's file: that of its name, or else one by its format."""
    suffix = Path(record.image_name or "").suffix.lower()
    if _SUFFIX.fullmatch(suffix):
        return suffix
    try:
        with PIL.Image.open(io.BytesIO(record.image)) as picture:
            return f".{picture.format.lower()}".replace(".jpeg", ".jpg")
    except OSError:  # of a kind that this machine does not read; it is exported all the same
        return ""
