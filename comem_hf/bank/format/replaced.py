"""Noticing that another bank has replaced an open one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .config import CONFIG_NAME, BankConfig
from .file_names import items_name, memory_name


class ReplacementCheck:
    """Notices that another bank has replaced an open one.

    Shards are opened by name when they are needed; another bank in the same folder uses the same names.

    Args:
        folder (`Path`): The bank.
        config (`BankConfig`): Its configuration when it was opened.
    """

    def __init__(self, folder: Path, config: BankConfig):
        self.folder = folder
        self.config = config
        self._seen = None

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Check, after shards were read in a `with` statement, that they are those of the bank that was opened.

        Raises:
            ValueError: If any shard is a different one now.
        """
        try:
            yield
        except (OSError, ValueError):  # the other bank may lack the file, or have one of another shape
            self._check()
            raise
        self._check()

    def _check(self) -> None:
        """Raise a `ValueError` if the folder now holds different shards.

        A bank is replaced as a whole: if the shards are the same now, everything read until now was from them.
        """
        try:
            stat = (self.folder / CONFIG_NAME).stat()
            mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            mark = None
        if mark is not None and mark == self._seen:
            return
        files = BankConfig.load(self.folder).files
        shards = range(len(self.config.shard_sizes))
        names = (name_of(shard) for name_of in (memory_name, items_name) for shard in shards)
        if any(files.get(name) != self.config.files[name] for name in names):
            raise ValueError(f"Another bank has been put in the place of {str(self.folder)!r}; open it again.")
        self._seen = mark
