"""A small Hub on the loopback address: what huggingface_hub asks of one to publish and to load."""

import base64
import json
import re
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from tests.local_hub.card_rules import problems_of_card
from tests.local_hub.repository import File, HubError, Repository
from tests.local_hub.routing import Reply, RoutedHandler, route


LFS_SUFFIXES = (".safetensors", ".faiss", ".parquet", ".png", ".bin")
API = r"/api/(?P<kind>models|datasets)/(?P<name>[^/]+/[^/]+)"
RAW = r"/(?P<kind>datasets/)?(?P<name>[^/]+/[^/]+?)"


class HubServer(ThreadingHTTPServer):
    """Models and data sets on a free port of 127.0.0.1 as long as the `with` block lasts.

    Not there: Xet (clients need `HF_HUB_DISABLE_XET=1`), discussions and merges of pull requests, gated repositories.

    Args:
        tokens (`dict[str, str]`): User of each token. Users write under their own name only, and nobody else sees
            their private repositories.
        lfs_folder (`pathlib.Path`, *optional*): Where the contents of LFS files are kept; in memory if not given.
    """

    daemon_threads = True
    request_queue_size = 128  # of 64 connections at once, 20 waited for TCP to try again after a second when it was 5

    def __init__(self, tokens: dict[str, str], lfs_folder: Path | None = None):
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.tokens = tokens
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.lfs_folder = lfs_folder
        self.lfs_objects: dict[str, File] = {}
        self.received = 0
        """Bytes of LFS files that were sent, unfinished ones included."""
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request."""
        self.committed: list[tuple[set[str], set[str]]] = []
        """Paths added and paths deleted by every commit."""
        self.ranges: list[tuple[int, int]] = []
        """First and last byte of every part of a file that was asked for."""
        self.lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """What `HF_ENDPOINT` must be before huggingface_hub is imported."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that was killed
            super().handle_error(request, client_address)

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.shutdown()
        self.server_close()


class HubHandler(RoutedHandler):
    """What each address answers."""

    server: HubServer

    @property
    def user(self) -> str | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.server.tokens:
            raise HubError(401, message="Invalid credentials in Authorization header")
        return self.server.tokens.get(token)

    def repository(self, kind: str, name: str, write: bool = False) -> Repository:
        found = self.server.repositories.get((kind.strip("s/") or "model", name))
        if found is None or found.is_private and self.user != found.owner:
            raise HubError(404 if self.user else 401, "RepoNotFound", "Repository not found")
        if write and self.user != found.owner:
            raise HubError(403 if self.user else 401, message=f"You may not write to {name}.")
        return found

    @route("GET", "/api/whoami-v2")
    def whoami(self):
        if self.user is None:
            raise HubError(401, message="Invalid username or password.")
        return {"type": "user", "name": self.user, "orgs": []}

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self):
        errors = problems_of_card(json.loads(self.body)["content"])
        return Reply(
            json.dumps({"errors": [{"message": message} for message in errors], "warnings": []}).encode(),
            400 if errors else 200,
            {"Content-Type": "application/json"},
        )

    @route("POST", "/api/repos/create")
    def create(self):
        wanted = json.loads(self.body)
        kind, owner = wanted.get("type") or "model", wanted.get("organization") or self.user
        if self.user is None or owner != self.user:
            raise HubError(403 if self.user else 401, message=f"You may not create repositories under {owner}.")
        name = f"{owner}/{wanted['name']}"
        url = f"{self.server.endpoint}/{'' if kind == 'model' else kind + 's/'}{name}"
        answer = json.dumps({"url": url, "id": name, "name": name}).encode()
        if (kind, name) in self.server.repositories:
            return Reply(answer, status=409)
        is_private = wanted.get("private") or wanted.get("visibility") == "private"
        self.server.repositories[kind, name] = Repository(name, is_private)
        return Reply(answer)

    @route("DELETE", "/api/repos/delete")
    def delete(self):
        wanted = json.loads(self.body)
        kind, name = wanted.get("type") or "model", f"{wanted.get('organization') or self.user}/{wanted['name']}"
        self.repository(kind, name, write=True)
        del self.server.repositories[kind, name]
        return {}

    @route("GET", API + "(?:/revision/(?P<revision>[^/]+))?")
    def info(self, kind: str, name: str, revision: str):
        repository = self.repository(kind, name)
        commit = repository.resolve(revision or "main")
        siblings = [{"rfilename": path} for path in repository.commits[commit]]
        return {"id": name, "sha": commit, "private": repository.is_private, "tags": [], "siblings": siblings}

    @route("GET", API + "/refs")
    def refs(self, kind: str, name: str):
        repository = self.repository(kind, name)
        branches, tags = (
            [{"name": ref, "ref": f"refs/{sort}/{ref}", "targetCommit": commit} for ref, commit in refs.items()]
            for sort, refs in (("heads", repository.branches), ("tags", repository.tags))
        )
        return {"branches": branches, "tags": tags, "converts": []}

    @route("POST", API + "/branch/(?P<branch>[^/]+)")
    def create_branch(self, kind: str, name: str, branch: str):
        repository = self.repository(kind, name, write=True)
        if branch in repository.branches:
            raise HubError(409, message=f"Branch {branch} exists.")
        repository.branches[branch] = repository.resolve(json.loads(self.body).get("startingPoint", "main"))
        return {}

    @route("POST", API + "/tag/(?P<revision>[^/]+)")
    def create_tag(self, kind: str, name: str, revision: str):
        repository = self.repository(kind, name, write=True)
        tag = json.loads(self.body)["tag"]
        if tag in repository.tags:
            raise HubError(409, message=f"Tag {tag} exists.")
        repository.tags[tag] = repository.resolve(revision)
        return {}

    @route("GET", API + "/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?")
    def tree(self, kind: str, name: str, revision: str, folder: str):
        recursive = self.query.get("recursive", "").lower() in ("1", "true")
        return self.repository(kind, name).list(revision, folder, recursive)

    @route("POST", API + "/paths-info/(?P<revision>[^/]+)")
    def paths_info(self, kind: str, name: str, revision: str):
        wanted = parse_qs(self.body.decode())["paths"]
        entries = self.repository(kind, name).list(revision, recursive=True)
        return [entry for entry in entries if entry["path"] in wanted]

    @route("POST", API + "/preupload/(?P<revision>[^/]+)")
    def preupload(self, kind: str, name: str, revision: str):
        files = self.repository(kind, name, write=True).files(revision)
        answers = []
        for path in (file["path"] for file in json.loads(self.body)["files"]):
            mode = "lfs" if path.endswith(LFS_SUFFIXES) else "regular"
            oid = files[path].etag if path in files else None
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": answers}

    @route("POST", RAW + r"\.git/info/lfs/objects/batch")
    def lfs_batch(self, kind: str, name: str):
        self.repository(kind, name, write=True)
        objects = [{"oid": wanted["oid"], "size": wanted["size"]} for wanted in json.loads(self.body)["objects"]]
        for entry in objects:
            if entry["oid"] not in self.server.lfs_objects:
                url = f"{self.server.endpoint}/lfs/{entry['oid']}"
                entry["actions"] = {"upload": {"href": url}, "verify": {"href": f"{url}/verify"}}
        return {"transfer": "basic", "objects": objects}

    @route("PUT", "/lfs/(?P<oid>[0-9a-f]{64})")
    def lfs_upload(self, oid: str):
        self.server.received += len(self.body)
        if File(self.body, is_lfs=True).etag != oid:
            raise HubError(400, message=f"The content of {oid} has another SHA-256.")
        stored = self.body
        if self.server.lfs_folder is not None:
            stored = self.server.lfs_folder / oid
            stored.write_bytes(self.body)
        self.server.lfs_objects[oid] = File(stored, is_lfs=True)
        return Reply()

    @route("POST", "/lfs/(?P<oid>[0-9a-f]{64})/verify")
    def lfs_verify(self, oid: str):
        if self.server.lfs_objects.get(oid, File(b"")).size != json.loads(self.body)["size"]:
            raise HubError(404, message=f"{oid} is not stored.")
        return Reply()

    @route("POST", API + "/commit/(?P<revision>[^/]+)")
    def commit(self, kind: str, name: str, revision: str):
        repository = self.repository(kind, name, write=True)
        added, deleted = {}, []
        for line in self.body.splitlines():
            operation = json.loads(line)
            key, value = operation["key"], operation["value"]
            if key == "file":
                added[value["path"]] = File(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                added[value["path"]] = self.server.lfs_objects[value["oid"]]
            elif key in ("deletedFile", "deletedFolder"):
                deleted.append(value["path"])
            elif value.get("parentCommit", repository.branches.get(revision)) != repository.branches.get(revision):
                raise HubError(412, message="A commit has happened since.")
        page = f"{self.server.endpoint}/{'datasets/' if kind == 'datasets' else ''}{name}"
        answer = {"success": True, "hookOutput": ""}
        if self.query.get("create_pr"):
            number = 1 + sum(branch.startswith("refs/pr/") for branch in repository.branches)
            repository.branches[f"refs/pr/{number}"] = repository.resolve(revision)
            revision, answer["pullRequestUrl"] = f"refs/pr/{number}", f"{page}/discussions/{number}"
        commit = repository.commit(revision, added, tuple(deleted))
        self.server.committed.append((set(added), set(deleted)))
        return {**answer, "commitOid": commit, "commitUrl": f"{page}/commit/{commit}"}

    @route("GET", RAW + "/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
    def resolve(self, kind: str, name: str, revision: str, path: str):
        repository = self.repository(kind, name)
        commit = repository.resolve(revision)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        file = repository.commits[commit].get(path)
        if file is None:
            headers |= {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            return Reply(b"Entry not found", 404, headers)
        headers["ETag"] = f'"{file.etag}"'
        if file.is_lfs:
            headers |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": file.size}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if part is None or self.command == "HEAD":
            return Reply(file.content, headers=headers)
        first, last = int(part[1]), min(int(part[2] or len(file.content)), len(file.content) - 1)
        self.server.ranges.append((first, int(part[2] or last)))
        headers["Content-Range"] = f"bytes {first}-{last}/{len(file.content)}"
        return Reply(file.content[first : last + 1], 206, headers)
