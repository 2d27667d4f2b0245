"""Encoded pictures of the items that are being encoded, out of memory until they are read."""

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path


IN_MEMORY = 2**26  # bytes; what is more lies in a file


class PictureSpool:
    """A file without a name that holds encoded pictures; it is gone when it is closed, or when the process dies.

    As a context manager, it closes itself. Threads may read at the same time.

    Args:
        folder (`Path`): Where the file is made, once the pictures have more than 64 MiB.
    """

    def __init__(self, folder: Path):
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=folder)  # noqa: SIM115
        self._lock = threading.Lock()
        self._size = 0

    def __enter__(self) -> "PictureSpool":
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def put(self, content: bytes) -> "SpooledPicture":
        """Keep the bytes of a picture.

        Raises:
            OSError: If no space is left.
        """
        with self._lock:
            picture = SpooledPicture(self, self._size, len(content))
            self._file.seek(self._size)
            self._file.write(content)
            self._size += len(content)
        return picture

    def get(self, start: int, length: int) -> bytes:
        """Return bytes that were put here."""
        with self._lock:
            self._file.seek(start)
            return self._file.read(length)


@dataclass(frozen=True)
class SpooledPicture:
    """A picture in a spool.

    Args:
        spool ([`PictureSpool`]): Where it lies.
        start (`int`): Its first byte there.
        length (`int`): Number of its bytes.
    """

    spool: PictureSpool
    start: int
    length: int

    def __len__(self) -> int:
        return self.length

    def read(self) -> bytes:
        """Return the bytes of the picture."""
        return self.spool.get(self.start, self.length)


__all__ = ["PictureSpool", "SpooledPicture"]
