"""Files that are either whole or not there: write beside, fsync, rename."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path


_NO_ROOM = {
    errno.ENOSPC: "No space left to write {}; free some space and try again",
    errno.EDQUOT: "No space left in your quota to write {}; free some space and try again",
    errno.EFBIG: "{} would be larger than the file system or `ulimit -f` allows; raise that, or make smaller shards",
}


def write_durably(path: Path, write: Callable[[Path], object]) -> dict:
    """Let `write` fill a file next to `path`, force it to disk, and give it its final name.

    Args:
        path (`Path`): Final place of the file; an existing one is replaced.
        write (`Callable[[Path], object]`): Writes the whole content to the path it is given.

    Returns:
        `dict`: `{"sha256": str, "size": int}` of the file.

    Raises:
        OSError: If there is no room for the file. The message says what to do, whatever library found out.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)  # left by a process that died
        unfinished.touch()
        mode = unfinished.stat().st_mode
        write(unfinished)
        unfinished.chmod(mode)  # safetensors makes files that only their owner may read
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        entry = file_entry(unfinished)
        os.replace(unfinished, path)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        for number, message in _NO_ROOM.items():
            # safetensors and FAISS raise errors of their own, which quote the system's message.
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                raise OSError(number, message.format(repr(str(path)))) from error
        raise
    sync_folder(path.parent)
    return entry


def file_entry(path: Path) -> dict:
    """`{"sha256": str, "size": int}` of a file, as `bank_config.json` lists it."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"sha256": digest.hexdigest(), "size": path.stat().st_size}


def sync_folder(folder: Path) -> None:
    """Force the names in `folder` to disk, where the system can do that."""
    if os.name == "nt":  # Windows cannot open a folder; its renames are journaled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
