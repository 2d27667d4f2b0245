"""Repositories with commits, branches and tags."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path


class HubError(Exception):
    """What a client may do wrong.

    Args:
        status (`int`): HTTP status.
        code (`str`, *optional*): What huggingface_hub chooses its exception by.
        message (`str`, *optional*): What its exception says.
    """

    def __init__(self, status: int, code: str = "", message: str = ""):
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class File:
    """A file's content, or where on this machine it lies, and whether git keeps it or only points to it (LFS)."""

    stored: bytes | Path
    is_lfs: bool = False

    @property
    def content(self) -> bytes:
        return self.stored if isinstance(self.stored, bytes) else self.stored.read_bytes()

    @cached_property
    def size(self) -> int:
        return len(self.stored) if isinstance(self.stored, bytes) else self.stored.stat().st_size

    @cached_property
    def etag(self) -> str:
        """What a client's cache names the content by: SHA-256 for LFS, else git's own hash."""
        return hashlib.sha256(self.content).hexdigest() if self.is_lfs else self.oid

    @cached_property
    def oid(self) -> str:
        """The hash of what git keeps."""
        if self.is_lfs:
            stored = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.etag}\nsize {self.size}\n".encode()
        else:
            stored = self.content
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()

    def describe(self, path: str) -> dict:
        """Returns the file as listings show it."""
        entry = {"type": "file", "path": path, "size": self.size, "oid": self.oid}
        if self.is_lfs:
            entry["lfs"] = {"oid": self.etag, "size": self.size, "pointerSize": 134}
        return entry


@dataclass
class Repository:
    """A model or data set repository.

    Args:
        name (`str`): `"user/name"`.
        is_private (`bool`, *optional*, defaults to `False`): Whether only its owner sees it.
    """

    name: str
    is_private: bool = False
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    """Files of each commit, by commit and path; the latest commit comes last."""
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.commit("main", {})

    @property
    def owner(self) -> str:
        return self.name.partition("/")[0]

    def resolve(self, revision: str) -> str:
        """Returns the commit that a branch, a tag or (the start of) a commit's own hash stands for."""
        revision = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        found = self.branches.get(revision) or self.tags.get(revision)
        if found is None:
            found = next(
                (commit for commit in self.commits if len(revision) > 6 and commit.startswith(revision)), None
            )
        if found is None:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found

    def files(self, revision: str) -> dict[str, File]:
        """Returns the files of a revision, by path."""
        return self.commits[self.resolve(revision)]

    def commit(self, branch: str, added: dict[str, File], deleted: tuple[str, ...] = ()) -> str:
        """Adds a commit to a branch and returns its hash; `deleted` holds paths, of folders with a final slash."""
        parent = self.branches.get(branch, "")
        files = {
            path: file
            for path, file in self.commits.get(parent, {}).items()
            if not any(path == gone or gone.endswith("/") and path.startswith(gone) for gone in deleted)
        }
        files |= added
        tree = "".join(f"{path} {file.oid}\n" for path, file in sorted(files.items()))
        commit = hashlib.sha1(f"{self.name} {len(self.commits)} {parent}\n{tree}".encode()).hexdigest()
        self.commits[commit] = files
        self.branches[branch] = commit
        return commit

    def list(self, revision: str, folder: str = "", recursive: bool = False) -> list[dict]:
        """Returns files and folders under a folder, as listings show them."""
        prefix = f"{folder}/" if folder else ""
        entries = {}
        for path, file in sorted(self.files(revision).items()):
            if not path.startswith(prefix):
                continue
            first, slash, _ = path.removeprefix(prefix).partition("/")
            if slash:
                entries[prefix + first] = {"type": "directory", "path": prefix + first, "size": 0, "oid": "0" * 40}
            if recursive or not slash:
                entries[path] = file.describe(path)
        if folder and not entries:
            raise HubError(404, "EntryNotFound", f"{folder} does not exist on {revision}")
        return list(entries.values())
