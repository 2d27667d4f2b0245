"""The server does for huggingface_hub what the Hub does."""

from tests.local_hub.server import HubServer
from tests.processes.alone import run_alone


def publish_and_fetch(kind: str) -> dict:
    import os
    import pathlib

    from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download

    api, name = HfApi(), "ann/things"
    folder = pathlib.Path("folder", "sub")
    folder.mkdir(parents=True)
    large = os.urandom(300_000)
    pathlib.Path("folder", "large.safetensors").write_bytes(large)
    (folder / "small.txt").write_text("one")
    api.create_repo("things", repo_type=kind)
    assert api.create_repo(name, repo_type=kind, exist_ok=True).repo_id == name
    first = api.upload_folder(repo_id=name, folder_path="folder", repo_type=kind).oid
    api.create_tag(name, tag="v1", repo_type=kind)
    api.upload_file(path_or_fileobj=b"two", path_in_repo="sub/small.txt", repo_id=name, repo_type=kind)
    second = api.delete_file("large.safetensors", name, repo_type=kind).oid

    def read(path: str, revision: str | None = None) -> str:
        return pathlib.Path(hf_hub_download(name, path, revision=revision, repo_type=kind)).read_text()

    def files_in(revision: str) -> list[str]:
        return sorted(api.list_repo_files(name, revision=revision, repo_type=kind))

    snapshot = pathlib.Path(snapshot_download(name, revision="v1", repo_type=kind))
    system = HfFileSystem()
    address = f"{'datasets/' if kind == 'dataset' else ''}{name}@v1/large.safetensors"
    with system.open(address, block_size=1000) as file:
        file.seek(200_000)
        part = file.read(10)
    refs = api.list_repo_refs(name, repo_type=kind)
    found = {
        "user": api.whoami()["name"],
        "sha": api.repo_info(name, repo_type=kind).sha == second,
        "tag": [(tag.name, tag.target_commit == first) for tag in refs.tags],
        "texts": [read("sub/small.txt"), read("sub/small.txt", "v1"), read("sub/small.txt", first)],
        "files": [files_in("main"), files_in(first)],
        "whole": (snapshot / "large.safetensors").read_bytes() == large,
        "part": part == large[200_000:200_010],
        "exists": [api.file_exists(name, path, repo_type=kind) for path in ("sub/small.txt", "no.txt")],
    }
    api.delete_repo(name, repo_type=kind)
    return {**found, "deleted": not api.repo_exists(name, repo_type=kind)}


def provoke_errors() -> list[str]:
    import huggingface_hub
    from huggingface_hub import HfApi, hf_hub_download

    ann = HfApi()
    ann.create_repo("ann/secret", private=True)
    ann.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="ann/secret")
    attempts = (
        lambda: hf_hub_download("ann/nothing", "x.txt"),
        lambda: hf_hub_download("ann/secret", "x.txt", revision="nowhere"),
        lambda: hf_hub_download("ann/secret", "y.txt"),
        lambda: hf_hub_download("ann/secret", "x.txt", token=False),
        lambda: hf_hub_download("ann/secret", "x.txt", token="bob's"),
        lambda: HfApi(token="bob's").create_repo("ann/other"),
        lambda: HfApi(token="nobody's").whoami(),
    )
    errors = []
    for attempt in attempts:
        try:
            attempt()
        except huggingface_hub.errors.HfHubHTTPError as error:
            errors.append(f"{type(error).__name__} {error.response.status_code}")
    return errors


def test_what_is_published_is_fetched_again_whole_in_parts_and_by_revision(tmp_path):
    with HubServer({"ann's": "ann"}) as hub:
        for kind in ("model", "dataset"):
            done = run_alone(
                publish_and_fetch, kind, folder=tmp_path / kind, HF_ENDPOINT=hub.endpoint, HF_TOKEN="ann's"
            )
            assert done.result == {
                "user": "ann",
                "sha": True,
                "tag": [["v1", True]],
                "texts": ["two", "one", "one"],
                "files": [["sub/small.txt"], ["large.safetensors", "sub/small.txt"]],
                "whole": True,
                "part": True,
                "exists": [True, False],
                "deleted": True,
            }


def test_errors_are_those_that_clients_know(tmp_path):
    with HubServer({"ann's": "ann", "bob's": "bob"}) as hub:
        done = run_alone(provoke_errors, folder=tmp_path, HF_ENDPOINT=hub.endpoint, HF_TOKEN="ann's")
    assert done.result == [
        "RepositoryNotFoundError 404",
        "RevisionNotFoundError 404",
        "RemoteEntryNotFoundError 404",
        "RepositoryNotFoundError 401",
        "RepositoryNotFoundError 404",
        "HfHubHTTPError 403",
        "HfHubHTTPError 401",
    ]
