"""The work folder of an unfinished build: finished shards, and a journal that lists them."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from comem_hf.bank.format.config import CONFIG_NAME
from comem_hf.bank.format.file_names import items_name, memory_name
from comem_hf.bank.format.writer_lock import lock_bank
from comem_hf.files.option_names import option
from comem_hf.files.whole_file import file_entry, write_durably
from comem_hf.files.work_folder import WorkFolder, work_path


SETTINGS_NAME = "build.json"
_PATIENCE = 120  # seconds; a network file system may show new files a minute late


def replaced_bank(output: Path) -> Path | None:
    """The older bank of `output`, if a build set it aside to replace it and was then interrupted."""
    replaced = work_path(output) / "replaced"
    return replaced if (replaced / CONFIG_NAME).is_file() else None


class Staging:
    """The [`WorkFolder`] of a bank: a build can be resumed from it at any time, and one rename publishes the bank.

    It holds `journal/` (`build.json` with the settings, and one file per finished shard, so that any number of
    processes can take part), `work/` (files of the shards) and `bank/` (where the bank is put together). A shard gets
    into the journal after its files are on disk. One build at a time may hold it, as a context manager.

    Args:
        output (`Path`): Folder of the finished bank.
        settings (`dict[str, object]`): JSON values that decide what a shard holds; a build with other values
            is refused.
        overwrite (`bool`): Replace a bank in `output`, and discard an unfinished build that cannot be resumed.
        leader (`bool`): Whether this process opens, finishes and removes the folder; the others only add shards.

    Raises:
        ValueError: If `output` is taken, another process builds it, or an unfinished build has other settings.
    """

    def __init__(self, output: Path, settings: dict, overwrite: bool = False, leader: bool = True):
        self._unfinished = WorkFolder(output, "output_dir", "bank", {"journal", "bank"})
        self.output = self._unfinished.target
        self.folder = self._unfinished.path
        self.journal = self.folder / "journal"
        self.bank = self.folder / "bank"
        self.work = self._unfinished.work
        self.settings = settings
        self.overwrite = overwrite
        self.leader = leader
        self.shards: dict[int, dict] = {}

    def __enter__(self) -> "Staging":
        if not self.leader:
            return self
        _check_output(self.output, self.overwrite or self.journal.exists())
        self._unfinished.take(self._note_unfinished)
        try:
            self._open()
        except BaseException:
            self._unfinished.release()
            raise
        return self

    def __exit__(self, *exception) -> None:
        if not self.leader:
            return
        self.read_journal()
        resumable = any(shard["num_items"] for shard in self.shards.values())
        if resumable:
            self._unfinished.release()
        else:
            self._unfinished.remove()

    @property
    def published(self) -> bool:
        """Whether the bank already has its final name, and only this folder is left."""
        if self.bank.exists() or not (self.output / CONFIG_NAME).is_file():
            return False
        return self._read_settings().get("finished", False)

    def read_journal(self) -> None:
        """Read which shards are finished by now, by this process or another."""
        paths = self.journal.glob("[0-9]*.json")
        self.shards = {int(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in sorted(paths)}

    def wait_for(self, shards: int) -> None:
        """Wait until the journal lists so many shards, which the processes have finished together.

        Raises:
            ValueError: If they do not appear, for instance because the disk is not shared.
        """
        deadline = time.monotonic() + _PATIENCE
        self.read_journal()
        while len(self.shards) < shards or not (self.journal / SETTINGS_NAME).exists():
            if time.monotonic() > deadline:
                raise ValueError(
                    f"{str(self.folder)!r} lacks files of other processes: all processes must share one file system."
                )
            time.sleep(0.2)
            self.read_journal()

    def write(self, name: str, write: Callable[[Path], object]) -> dict:
        """Write a file of an unfinished shard, and return its entry for `finish_shard`."""
        return write_durably(self.work / name, write)

    def finish_shard(self, number: int, shard: dict) -> None:
        """Note a finished shard in the journal.

        `shard["num_items"]` is the number of its items, and `shard["files"]` has the entries of its files. A shard
        without items has no files.
        """
        self._note(f"{number:05d}.json", shard)
        self.shards[number] = shard

    def collect(self) -> dict[str, dict]:
        """Move the shards into the bank, and return the entries of their files.

        Shards without items are left out of the numbering.
        """
        files = {}
        for path, final, entry in self._files():
            if final is not None:
                if path.exists():
                    os.replace(path, final)
                files[final.name] = entry
        return files

    def publish(self) -> None:
        """Give the bank its final name, replacing an older bank there, and empty this folder.

        Raises:
            ValueError: If another process is changing the older bank.
        """
        lock = None
        try:
            if not self.published:
                lock = lock_bank(self.output) if (self.output / CONFIG_NAME).is_file() else None
                self._note(SETTINGS_NAME, {**self.settings, "finished": True})
                if lock is not None and os.name == "nt":
                    lock.release()  # Windows moves no folder that has an open file
                self._unfinished.put_in_place(self.bank, partial(_check_output, self.output, self.overwrite))
            # The lock of an older bank is removed with it, so that nobody can take the lock any more.
            self._unfinished.discard_replaced()
        finally:
            if lock is not None:
                lock.release()
        shutil.rmtree(self.work, ignore_errors=True)
        self._discard_journal()
        self.shards = {}

    def _open(self) -> None:
        shutil.rmtree(self.folder / "discarded", ignore_errors=True)
        if (problem := self._problem()) is not None:
            if not self.overwrite:
                raise ValueError(f"{problem}, or pass {option('overwrite', True)} to start again.")
            self._discard_journal()
        if self.published:
            self.read_journal()
            return
        _check_output(self.output, self.overwrite)
        for folder in (self.journal, self.bank, self.work):
            folder.mkdir(exist_ok=True)
        if not (self.journal / SETTINGS_NAME).exists():
            self._note(SETTINGS_NAME, self.settings)
        self.read_journal()
        ours = {_present(path, final) for path, final, _ in self._files()}
        for folder in (self.bank, self.work):
            for path in folder.iterdir():  # files of an unfinished shard that a dead process left
                if path in ours:
                    continue
                path.unlink() if path.is_file() else shutil.rmtree(path)

    def _note_unfinished(self) -> None:
        """Forget that the bank was finished: the older one gets its name back."""
        if settings := self._read_settings():
            self._note(SETTINGS_NAME, {**settings, "finished": False})

    def _problem(self) -> str | None:
        """Why the unfinished build cannot be resumed, and what would help; `None` if it can."""
        if not (self.journal / SETTINGS_NAME).exists():
            return None
        before = self._read_settings()
        for name, value in self.settings.items():
            if before.get(name) != value:
                return (
                    f"{str(self.folder)!r} holds an unfinished build with `{name}` = {before.get(name)!r}, but this "
                    f"one has {value!r}. Build with the same settings to resume it"
                )
        if self.published:
            return f"{str(self.output)!r} already holds a memory bank" if self.overwrite else None
        self.read_journal()
        for path, final, entry in self._files():
            present = _present(path, final)
            if not present.is_file() or file_entry(present) != entry:
                return f"{str(present)!r} of an unfinished build is missing or damaged. Restore it"
        return None

    def _files(self) -> Iterator[tuple[Path, Path | None, dict]]:
        """Path in the work folder, path in the bank (`None` if not needed there) and entry of each finished file."""
        final = 0
        for number, shard in sorted(self.shards.items()):
            names = {memory_name(number): memory_name(final), items_name(number): items_name(final)}
            for name, entry in shard["files"].items():
                yield self.work / name, self.bank / names[name] if name in names else None, entry
            final += bool(shard["num_items"])

    def _note(self, name: str, content: dict) -> None:
        text = json.dumps(content) + "\n"
        write_durably(self.journal / name, lambda path: path.write_text(text, encoding="utf-8"))

    def _read_settings(self) -> dict:
        path = self.journal / SETTINGS_NAME
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def _discard_journal(self) -> None:
        """Forget the build by one rename: the other files here mean nothing without the journal."""
        os.replace(self.journal, self.folder / "discarded")
        shutil.rmtree(self.folder / "discarded", ignore_errors=True)


def _present(path: Path, final: Path | None) -> Path:
    """Where a file of a finished shard lies: in the work folder until the shards are collected."""
    return path if final is None or path.exists() else final


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
            f"{str(output)!r} already holds a memory bank; pass {option('overwrite', True)} to replace it."
        )
