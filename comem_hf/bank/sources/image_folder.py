"""Items of a folder of images with captions."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from comem_hf.modeling.memory_item import MemoryItem

from .json_lines import read_objects
from .lazy import LazyItems, make_item
from .unreadable import UnreadableItem


METADATA_NAME = "metadata.jsonl"
CAPTION_NAMES = ("text", "caption")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def read_image_folder(folder: str | Path) -> LazyItems:
    """Items of a folder of images, subfolders included, in the order of their names.

    If there is a `metadata.jsonl`, its lines are the items: `file_name` (the Hub's convention), `text` or `caption`,
    and `id`; other fields become metadata. If not, each image is an item, and its text is in the file of the same name
    with the ending `.txt`, if there is one. `file_name`, relative to the folder, becomes metadata.

    Raises:
        ValueError: If there is no such folder or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"Cannot read items from {str(folder)!r}: there is no such folder.")
    if (folder / METADATA_NAME).is_file():
        return LazyItems(partial(_listed, folder))
    if next(_images(folder), None) is None:
        raise ValueError(f"Cannot read items from {str(folder)!r}: no {METADATA_NAME} and no image is in it.")
    return LazyItems(partial(_captioned, folder), lambda: sum(1 for _ in _images(folder)))


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())


def _captioned(folder: Path) -> Iterator[MemoryItem | UnreadableItem]:
    for path in sorted(_images(folder)):
        name = path.relative_to(folder).as_posix()
        caption = path.with_suffix(".txt")
        try:
            text = caption.read_text(encoding="utf-8").strip() if caption.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            yield UnreadableItem(f"cannot read caption {str(caption)!r}: {error}.")
            continue
        yield make_item(name, image=path, text=text or None, metadata={"file_name": name})


def _listed(folder: Path) -> Iterator[MemoryItem | UnreadableItem]:
    root = folder.resolve()
    for where, row in read_objects(folder / METADATA_NAME):
        if isinstance(row, UnreadableItem):
            yield row
            continue
        name = row.get("file_name")
        # Folders of others are downloaded: their lines must not fetch files from elsewhere into a bank.
        if not isinstance(name, str) or "\0" in name or not (root / name).resolve().is_relative_to(root):
            yield UnreadableItem(f"{where}: `file_name` must be a path inside the folder, got {name!r:.80}.")
            continue
        texts = [row.pop(caption) for caption in CAPTION_NAMES if caption in row]
        text = next((text for text in texts if text is not None), None)
        yield make_item(where, image=folder / name, text=text, id=row.pop("id", None), metadata=row)
