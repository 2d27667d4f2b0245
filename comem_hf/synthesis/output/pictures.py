"""The pictures of rows, copied beside them, each once."""

import hashlib
import io
from pathlib import Path

import PIL.Image

from comem_hf.bank import MemoryBank
from comem_hf.files.whole_file import write_durably


IMAGES = "images"


class PictureFolder:
    """Pictures named after their content, so that the folder of the rows can be moved, and a picture is there once.

    Args:
        folder (`Path`): Folder of the rows; pictures go into `images` in it.
        bank (`MemoryBank`): The bank whose items' pictures are copied.
    """

    def __init__(self, folder: Path, bank: MemoryBank):
        self.folder = folder
        self.bank = bank
        self.used: set[str] = set()
        self._of_items: dict[str, str | None] = {}
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)

    def add(self, content: bytes) -> str:
        """Copy a picture, if it is not there, and return its path from the folder.

        Args:
            content (`bytes`): The encoded picture.

        Raises:
            OSError: If it cannot be written.
        """
        with PIL.Image.open(io.BytesIO(content)) as picture:
            suffix = (picture.format or "image").lower()
        name = f"{IMAGES}/{hashlib.sha256(content).hexdigest()[:32]}.{suffix}"
        path = self.folder / name
        if name not in self.used and not (path.is_file() and path.stat().st_size == len(content)):
            write_durably(path, lambda unfinished: unfinished.write_bytes(content))
        self.used.add(name)
        return name

    def add_item(self, item_id: str) -> str | None:
        """Copy the picture of an item as the bank stores it; `None` if it has none."""
        if item_id not in self._of_items:
            content = self.bank.stored_image(item_id)
            self._of_items[item_id] = None if content is None else self.add(content)
        return self._of_items[item_id]

    def remove_others(self) -> None:
        """Remove pictures that no row names: those of an earlier run with other settings."""
        for path in (self.folder / IMAGES).iterdir():
            if f"{IMAGES}/{path.name}" not in self.used:
                path.unlink()

    def digest(self) -> str:
        """Return the SHA-256 of the names of all pictures, which hold the digests of their contents."""
        return hashlib.sha256("\n".join(sorted(self.used)).encode()).hexdigest()
