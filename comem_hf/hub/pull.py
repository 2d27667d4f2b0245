"""Download of a model or a memory bank from the Hub, complete and checked."""

import hashlib
import shutil
from pathlib import Path

from comem_hf.files.whole_file import file_entry
from comem_hf.files.whole_folder import refuse_taken, whole_folder
from comem_hf.repository.errors import plain_errors, unreachable

from .checkpoint import Checkpoint, has_weights, read_config
from .place import BANK, Place, find_place


def pull(
    repo_id: str, folder: Path | None = None, revision: str | None = None, repo_type: str | None = None
) -> tuple[Place, Path]:
    """Download a repository into the cache of huggingface_hub, and check every file.

    Files in the cache are not downloaded again; called again, an interrupted download continues.

    Args:
        repo_id (`str`): Id of the repository.
        folder (`Path`, *optional*): Where to copy it to, new or empty.
        revision (`str`, *optional*): Branch, tag or commit.
        repo_type (`str`, *optional*): See [`find_place`].

    Returns:
        `tuple[Place, Path]`: The repository's place, and the folder of its files.

    Raises:
        ValueError: If it is neither a model nor a memory bank, a file is damaged, or `folder` is not empty.
        OSError: If the repository cannot be read.
    """
    if Path(repo_id).is_dir():
        raise ValueError(f"{repo_id!r} is a folder here already; give the id of a repository.")
    if folder is not None:
        refuse_taken(folder, "folder")
    place = find_place(repo_id, revision, repo_type)
    if place.kind == BANK:
        return place, _pull_bank(place, folder)
    return place, _pull_model(place, folder)


def _pull_bank(place: Place, folder: Path | None) -> Path:
    from comem_hf.bank import MemoryBank

    bank = MemoryBank.from_pretrained(place.name, repo_type=place.repo_type, **place.of_hub)
    if folder is None:
        return bank.folder
    bank.save_pretrained(folder)
    return folder


def _pull_model(place: Place, folder: Path | None) -> Path:
    from huggingface_hub import snapshot_download

    read_config(place.folder, place.name)  # fails before gigabytes of another model are downloaded
    with plain_errors(place.name, place.commit):
        cached = Path(snapshot_download(place.name, **place.of_hub))
    if place.is_offline and not has_weights(cached):
        raise OSError(unreachable(place.name))
    refuse_damaged(cached, place.name)
    Checkpoint.open(cached).check()
    if folder is None:
        return cached
    with whole_folder(folder, "folder") as partial:
        shutil.copytree(cached, partial, dirs_exist_ok=True)
    return folder


def refuse_damaged(snapshot: Path, name: str) -> None:
    """Raise a `ValueError` if a file in the cache of huggingface_hub is damaged.

    Files are compared with their checksums, which are their names in the cache. Where the cache has no links, as on
    some systems, it does not know checksums, and nothing is compared.

    Args:
        snapshot (`Path`): Folder of a commit.
        name (`str`): Name of the repository in messages.

    Raises:
        ValueError: If a file is damaged; it is removed from the cache, to be downloaded again.
    """
    for path in sorted(snapshot.rglob("*")):
        if not path.is_symlink():
            continue
        content = path.resolve()
        if _checksum(content, len(content.name)) not in (content.name, None):
            for gone in (content, path):
                gone.unlink()
            raise ValueError(
                f"{path.relative_to(snapshot)} of {name!r} was damaged in the cache and is removed from there; pull "
                "it again."
            )


def _checksum(path: Path, length: int) -> str | None:
    """Return the SHA-256 of a large file, git's hash of a small one, `None` if the name has neither's length."""
    if length == 64:
        return file_entry(path)["sha256"]
    if length == 40:
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return None
