"""Whether another bank has been put in the place of one that is open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .config import CONFIG_NAME, BankConfig, items_name, memory_name


class ReplacementCheck:
    """Shards are opened when they are needed, by their names, which another bank in the same folder has as well.

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
        """Put around the reading of shards: what cannot be read, or was read, is that of the bank that was opened.

        Raises:
            ValueError: If any shard is another one now.
        """
        try:
            yield
        except (OSError, ValueError):  # the other bank may lack the file, or have one of another shape
            self._check()
            raise
        self._check()

    def _check(self) -> None:
        """A bank is replaced as a whole: what was there until now is ours."""
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
