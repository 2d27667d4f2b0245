"""Data sets from the Hub: others have written the paths in them, and no file of this machine gets into a bank."""

import io
import json
import zipfile
from types import SimpleNamespace

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfFileSystem

from comem_hf.bank.sources import UnreadableItem, open_source, read_dataset
from tests.conftest import make_image
from tests.local_hub.repository import File, Repository


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    make_image(seed).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def publish(hub, monkeypatch):
    """Puts files into a data set of the Hub that `datasets` asks."""
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.endpoint)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)

    def put(name: str, files: dict[str, bytes]) -> str:
        repository = hub.repositories["dataset", name] = Repository(name)
        repository.commit("main", {path: File(content) for path, content in files.items()})
        HfFileSystem.clear_instance_cache()
        return f"hf://datasets/{name}"

    yield put
    HfFileSystem.clear_instance_cache()


def test_a_folder_of_images_is_streamed_as_it_is_stored_and_a_broken_one_does_not_end_it(publish):
    lines = [{"file_name": "a.png", "text": "A."}, {"file_name": "b.png", "text": "B."}]
    files = {"a.png": encoded(0), "b.png": b"no picture", "metadata.jsonl": "\n".join(map(json.dumps, lines)).encode()}
    items = list(open_source(publish("ann/pictures", files)))
    assert [(item.image, item.text) for item in items] == [(encoded(0), "A."), (b"no picture", "B.")]


def test_images_in_an_archive_of_the_data_set_are_read(publish):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", encoded(0))
    (item,) = open_source(publish("ann/archive", {"data.zip": buffer.getvalue()}))
    assert item.image == encoded(0)


def test_paths_of_this_machine_in_a_parquet_file_are_not_followed(publish, tmp_path):
    (tmp_path / "private.png").write_bytes(encoded(0))
    picture = {"bytes": encoded(1), "path": None}
    private = {"bytes": None, "path": str(tmp_path / "private.png")}
    rows = {"image": [picture, private], "id": ["a", "b"], "page": [[private], [private]], "clip": [private, private]}
    kinds = {"image": datasets.Image(), "id": datasets.Value("string")}
    features = datasets.Features({**kinds, "page": [datasets.Image()], "clip": datasets.Image()})
    buffer = io.BytesIO()
    pq.write_table(pa.table(rows, schema=features.arrow_schema), buffer)
    good, bad = open_source(publish("ann/paths", {"data.parquet": buffer.getvalue()}))
    assert good.image == encoded(1) and not good.metadata
    assert isinstance(bad, UnreadableItem) and bad.id == "b"
    assert "private.png', which is outside the data set 'ann/paths'" in bad.reason


def test_a_card_that_names_files_of_this_machine_is_refused(publish, monkeypatch, tmp_path):
    (tmp_path / "private.txt").write_text("private")
    card = f"---\nconfigs:\n- config_name: default\n  data_files: {tmp_path}/private.txt\n---\n"
    name = publish("ann/card", {"README.md": card.encode(), "a.txt": b"hello"})
    with pytest.raises(ValueError, match="[Dd]ata.*'?ann/card"):
        open_source(name)
    # Before version 5 `datasets` did not mind.
    builder = SimpleNamespace(config=SimpleNamespace(data_files={"train": [f"{tmp_path}/private.txt"]}))
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *arguments, **options: builder)
    with pytest.raises(ValueError, match="'ann/card' is refused: it names '.*private.txt', a file outside it"):
        open_source(name)


@pytest.mark.parametrize(
    "address",
    [
        "{folder}/private.png",
        "file://{folder}/private.png",
        "memory://private.png",
        "private.png",
        "http://127.0.0.1/private.png",
        "hf://datasets/ann/flags-private/private.png",
        "hf://datasets/ann/flags/../private/private.png",
        "hf://ann/flags/private.png",
        "file://{folder}/private.png::hf://datasets/ann/flags/a.png",
        "hf://datasets/ann/flags/a.zip::file://{folder}/private.png",
        "zip://private.png::file://{folder}/private.zip",
    ],
)
@pytest.mark.parametrize("kind", ["string", "image", "struct"])
def test_only_files_of_the_data_set_itself_are_opened_for_it(kind, address, tmp_path, monkeypatch):
    (tmp_path / "private.png").write_bytes(encoded(0))
    monkeypatch.chdir(tmp_path)
    address = address.format(folder=tmp_path)
    row = {
        "string": {"image": address},
        "image": {"image": {"bytes": None, "path": address}},
        "struct": {"image": {"bytes": address, "path": None}},
    }[kind]
    stream = datasets.IterableDataset.from_generator(lambda: iter([{**row, "text": "x"}]))
    (item,) = read_dataset(stream, repository="ann/flags")
    assert isinstance(item, UnreadableItem), item
    assert "is outside the data set 'ann/flags'" in item.reason or "`image` has `bytes` of type str." in item.reason


def test_a_data_set_of_ones_own_may_name_files(tmp_path):
    (tmp_path / "own.png").write_bytes(encoded(0))
    for image in (str(tmp_path / "own.png"), {"bytes": None, "path": str(tmp_path / "own.png")}):
        (item,) = read_dataset(datasets.Dataset.from_list([{"image": image}]))
        assert item.load_image().tobytes() == make_image(0).tobytes()


def test_a_folder_of_the_same_name_is_not_read_in_its_place(tmp_path, monkeypatch):
    (tmp_path / "ann" / "flags").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="flags cannot be read where a folder 'ann/flags' exists: change to another"):
        open_source("hf://datasets/ann/flags")
