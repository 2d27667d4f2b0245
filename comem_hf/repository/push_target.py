"""A repository that is about to be written."""

from pathlib import Path

from .download import download
from .errors import repository_label


class PushTarget:
    """A repository, created if it did not exist, and the commit that the next commit follows.

    Args:
        repo_id (`str`): Id of the repository.
        repo_type (`str`): `"dataset"` or `"model"`.
        private (`bool`, *optional*): Whether a new repository is private; if not given, the owner's default.
        revision (`str`, *optional*): Branch to push to, created if it does not exist; defaults to the main branch.
        create_pr (`bool`, defaults to `False`): Open a pull request instead.
        token (`str` or `bool`, *optional*): Token of a user who may write there; defaults to the stored one.

    Attributes:
        address (`dict[str, str]`): `repo_id` and `repo_type`, as huggingface_hub's functions take them.
        present (`dict[str, str | None]`): The sha256 of each file, by name; `None` if the file is kept in git.

    Raises:
        ValueError: If `private` is asked for and the repository is public.
    """

    def __init__(
        self,
        repo_id: str,
        repo_type: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        token: str | bool | None = None,
    ):
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile

        self._api = HfApi(token=token)
        repo_id = self._api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True).repo_id
        self.address = {"repo_id": repo_id, "repo_type": repo_type}
        self._branch = {"revision": revision, "create_pr": create_pr}
        if revision is not None and not revision.startswith("refs/"):
            self._api.create_branch(**self.address, branch=revision, exist_ok=True)
        found = self._api.repo_info(**self.address, revision=revision)
        if private and not found.private:
            label = repository_label(repo_id, repo_type)
            raise ValueError(f"`private` is given, but {label} already exists and is public.")
        self.head = found.sha
        entries = self._api.list_repo_tree(**self.address, revision=self.head)
        self.present = {entry.path: entry.lfs and entry.lfs.sha256 for entry in entries if isinstance(entry, RepoFile)}

    def download(self, name: str) -> Path:
        """Download a file of the commit that the next commit follows."""
        return download(**self.address, revision=self.head, name=name, token=self._api.token)

    def commit(self, operations: list, message: str):
        """Commit on top of the commit that was found; the next commit follows this one.

        Returns:
            `huggingface_hub.CommitInfo`: The commit; if nothing has changed, the latest one.
        """
        done = self._api.create_commit(
            **self.address,
            operations=operations,
            commit_message=message,
            parent_commit=self.head,
            **self._branch,
        )
        self.head = done.oid
        self._branch = {"revision": done.pr_revision or self._branch["revision"], "create_pr": False}
        return done
