"""The folder of the result: rows, pictures, card and record."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from comem_hf.bank import MemoryBank
from comem_hf.cards.generated import is_generated
from comem_hf.cards.template import CARD_NAME
from comem_hf.files.whole_file import file_entry, write_durably

from .data_card import render_data_card
from .pictures import PictureFolder
from .row import Row


RECORD_NAME = "synthesis.json"
FILES = {"train": "train.jsonl", "held_out": "held_out.jsonl"}


def write_result(
    folder: Path,
    rows: Sequence[Row],
    bank: MemoryBank,
    picture_of: Callable[[str], bytes],
    record: Mapping[str, Any],
) -> dict[str, Any]:
    """Write rows, pictures, the card and, last, `synthesis.json`; each file is whole or not there.

    The same rows give the same bytes. A card that somebody has edited is left as it is.

    Args:
        folder (`Path`): The folder.
        rows (`Sequence[Row]`): All rows, in order.
        bank (`MemoryBank`): The bank that their items are of.
        picture_of (`Callable[[str], bytes]`): Gives the encoded picture of a question, by its id.
        record (`Mapping`): Settings and counts.

    Returns:
        `dict`: The record, with size and SHA-256 of each file.
    """
    (folder / RECORD_NAME).unlink(missing_ok=True)  # it says that the folder is whole
    pictures = PictureFolder(folder, bank)
    items = {item_id: bank[item_id].text for item_id in sorted({item for row in rows for item in row.items})}
    files = {}
    for side, name in FILES.items():
        of_side = [row for row in rows if row.side == side]

        def write(path: Path, of_side=of_side) -> None:
            with path.open("w", encoding="utf-8", newline="\n") as file:
                for row in of_side:
                    memories = [
                        {"id": item_id, "image": pictures.add_item(item_id), "text": items[item_id]}
                        for item_id in row.items
                    ]
                    line = row.to_json(pictures.add(picture_of(row.question_id)), memories)
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")

        files[name] = {"rows": len(of_side), **write_durably(folder / name, write)}
    pictures.remove_others()
    contents = {
        **record,
        "files": files,
        "images": {"count": len(pictures.used), "sha256_of_names": pictures.digest()},
    }
    _write_card(folder, contents)
    contents["files"][CARD_NAME] = file_entry(folder / CARD_NAME)
    text = json.dumps(contents, indent=1, ensure_ascii=False) + "\n"
    write_durably(folder / RECORD_NAME, lambda path: path.write_text(text, encoding="utf-8"))
    return contents


def _write_card(folder: Path, contents: Mapping[str, Any]) -> None:
    path = folder / CARD_NAME
    if path.is_file() and not is_generated(path.read_text(encoding="utf-8", errors="replace")):
        return
    text = render_data_card(contents)
    write_durably(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
