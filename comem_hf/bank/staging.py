"""The work folder of an unfinished build: finished shards, and a journal that says which they are."""

import json
import os
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from .config import CONFIG_NAME
from .durable import file_entry, sync_folder, write_durably


JOURNAL_NAME = "journal.jsonl"
_OURS = {JOURNAL_NAME, f"{JOURNAL_NAME}.unfinished", "bank", "work", "lock", "replaced"}


class Staging:
    """`<output>.staging`, from which a build is resumed at any moment and published by one rename.

    It holds `journal.jsonl` (line 1: the settings; then one line per finished shard), `bank/` (files of the bank)
    and `work/` (files that only the build needs). A journal line is written after the files it names are on disk.
    One process at a time may hold it, as a context manager.

    Args:
        output (`Path`): Folder of the finished bank.
        settings (`dict[str, object]`): JSON values that decide what a shard holds; a build with others is refused.
        overwrite (`bool`): Replace a bank in `output`, and discard an unfinished build that cannot be resumed.

    Raises:
        ValueError: If `output` is taken, another process builds it, or an unfinished build has other settings.
    """

    def __init__(self, output: Path, settings: dict, overwrite: bool = False):
        self.output = output
        self.folder = output.with_name(f"{output.name}.staging")
        self.bank = self.folder / "bank"
        self.work = self.folder / "work"
        self.settings = settings
        self.overwrite = overwrite
        self.shards: list[dict] = []
        self._finished = False
        self._lock = FileLock(self.folder / "lock")

    def __enter__(self) -> "Staging":
        if self.folder.exists() and not {entry.name for entry in self.folder.iterdir()} <= _OURS:
            raise ValueError(f"{str(self.folder)!r} is in the way: it is not the work folder of a build.")
        _check_output(self.output, self.overwrite or (self.folder / JOURNAL_NAME).exists())
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f"Another process is building {str(self.output)!r}; wait for it to end.") from None
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *exception) -> None:
        self._lock.release()
        if not self.shards or not (self.folder / JOURNAL_NAME).exists():  # nothing to resume
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def published(self) -> bool:
        """Whether the bank has its final name already and only this folder was left behind."""
        return self._finished and not self.bank.exists() and (self.output / CONFIG_NAME).is_file()

    def finish_shard(self, shard: dict) -> None:
        """Note a shard in the journal; `shard["files"]` names files of this folder that are on disk."""
        self._append({"shard": shard})
        self.shards.append(shard)

    def publish(self) -> None:
        """Give the bank its final name, replacing an older bank there, and empty this folder."""
        if not self.published:
            self._append({"finished": True})
            self._finished = True
            sync_folder(self.bank)
            if self.output.exists():
                os.replace(self.output, self.folder / "replaced")
            os.replace(self.bank, self.output)
            sync_folder(self.output.parent)
        for leftover in ("replaced", "work"):
            shutil.rmtree(self.folder / leftover, ignore_errors=True)
        (self.folder / JOURNAL_NAME).unlink()

    def _open(self) -> None:
        lines = self._read_journal()
        self._finished = any("finished" in line for line in lines)
        if lines and (problem := self._problem(lines)):
            if not self.overwrite:
                raise ValueError(f"{problem}, or pass `overwrite=True` to start again.")
            lines, self._finished = [], False
            if (self.folder / "replaced").exists() and not self.output.exists():
                os.replace(self.folder / "replaced", self.output)  # back, until the new bank is whole
        if not self.published:
            _check_output(self.output, self.overwrite)
        self.shards = [line["shard"] for line in lines if "shard" in line]
        if self.published:
            return
        finished_files = {name for shard in self.shards for name in shard["files"]}
        for folder in (self.bank, self.work):
            folder.mkdir(exist_ok=True)
            for path in folder.iterdir():  # what a dead process left of an unfinished shard
                if f"{folder.name}/{path.name}" not in finished_files:
                    path.unlink()
        if not lines:
            text = json.dumps({"settings": self.settings}) + "\n"
            write_durably(self.folder / JOURNAL_NAME, lambda path: path.write_text(text, encoding="utf-8"))

    def _problem(self, lines: list[dict]) -> str | None:
        """Why the unfinished build cannot go on, and what would let it, or `None`."""
        before = lines[0]["settings"]
        for name, value in self.settings.items():
            if before.get(name) != value:
                return (
                    f"{str(self.folder)!r} holds an unfinished build with `{name}` = {before.get(name)!r}, but this "
                    f"one has {value!r}. Build with the same settings to resume it"
                )
        if self.published:
            return f"{str(self.output)!r} already holds a memory bank" if self.overwrite else None
        for shard in (line["shard"] for line in lines if "shard" in line):
            for name, entry in shard["files"].items():
                path = self.folder / name
                if not path.is_file() or file_entry(path) != entry:
                    return f"{str(path)!r} of an unfinished build is missing or damaged. Restore it"
        return None

    def _read_journal(self) -> list[dict]:
        path = self.folder / JOURNAL_NAME
        if not path.exists():
            return []
        whole, _, torn = path.read_bytes().rpartition(b"\n")
        if torn:  # the process died within its last line, which therefore does not count
            os.truncate(path, len(whole) + 1)
        return [json.loads(line) for line in whole.splitlines()]

    def _append(self, line: dict) -> None:
        with open(self.folder / JOURNAL_NAME, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _check_output(output: Path, replaceable: bool) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise ValueError(f"`output_dir` {str(output)!r} is a file.")
    if not any(output.iterdir()):
        return
    if not (output / CONFIG_NAME).is_file():
        raise ValueError(f"`output_dir` {str(output)!r} is not empty and holds no memory bank; choose another folder.")
    if not replaceable:
        raise ValueError(
            f"`output_dir` {str(output)!r} already holds a memory bank; pass `overwrite=True` to replace it."
        )
