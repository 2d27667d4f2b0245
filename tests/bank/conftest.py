"""A small bank, and how to build more of them."""

import io
import json
from functools import partial

import PIL.Image
import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.files.whole_file import file_entry
from tests.conftest import make_image, make_model
from tests.local_hub.repository import File, Repository
from tests.local_hub.server import LFS_SUFFIXES


def bomb() -> bytes:
    """A small file with more pixels than Pillow opens."""
    buffer = io.BytesIO()
    PIL.Image.new("1", (20000, 10000)).save(buffer, format="PNG")
    return buffer.getvalue()


def truncated_image() -> bytes:
    """A file whose header is good, and whose end is missing."""
    buffer = io.BytesIO()
    make_image(1).resize((200, 200)).save(buffer, format="PNG")
    return buffer.getvalue()[:-200]


@pytest.fixture(scope="session")
def model():
    return make_model()


@pytest.fixture(scope="session")
def other_model():
    return make_model(seed=7)


@pytest.fixture(scope="session")
def items() -> list[MemoryItem]:
    """Seven items; a shard of three leaves the last one with a single item."""
    return [
        MemoryItem(
            image=make_image(seed), text=f"Fact {seed}." * (1 + seed % 3), id=f"item-{seed}", metadata={"n": seed}
        )
        for seed in range(7)
    ]


@pytest.fixture(scope="session")
def build(model, tiny_processor):
    """`MemoryBank.build` with the tiny model and three items per file."""
    return partial(MemoryBank.build, model=model, processor=tiny_processor, batch_size=2, shard_size=3)


@pytest.fixture(scope="session")
def bank(build, items, tmp_path_factory) -> MemoryBank:
    return build(items, output_dir=tmp_path_factory.mktemp("banks") / "bank")


@pytest.fixture
def copy(bank, tmp_path):
    """Folder of a copy of the bank, for tests that damage it."""
    bank.save_pretrained(tmp_path / "copy")
    return tmp_path / "copy"


def change_config(folder, **values):
    path = folder / "bank_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def forget_words(folder):
    """Make a bank one of an older version, which had no words index."""
    config = json.loads((folder / "bank_config.json").read_text())
    (folder / config.pop("words")["file"]).unlink()
    del config["files"]["words.safetensors"]
    (folder / "bank_config.json").write_text(json.dumps(config))


def replace_file(folder, name, write):
    """Replace a file and make the config agree, so that only the content is wrong."""
    write(folder / name)
    files = json.loads((folder / "bank_config.json").read_text())["files"]
    change_config(folder, files={**files, name: file_entry(folder / name)})


def publish(hub, folder, name="ann/bank", kind="dataset", **changed) -> str:
    """Commit a folder as it is, files of `changed` as they are given there (`None`: left out); the commit."""
    contents = {path.name: path.read_bytes() for path in folder.iterdir()} | changed
    files = {
        path: File(content, path.endswith(LFS_SUFFIXES)) for path, content in contents.items() if content is not None
    }
    repository = hub.repositories.setdefault((kind, name), Repository(name))
    return repository.commit("main", files, tuple(repository.files("main")))


@pytest.fixture
def mine(copy, model, tiny_processor) -> MemoryBank:
    """A copy of the bank, ready to be changed."""
    return MemoryBank.from_pretrained(copy, model=model, processor=tiny_processor)


@pytest.fixture(scope="session")
def new_items() -> list[MemoryItem]:
    return [MemoryItem(image=make_image(seed), text=f"New fact {seed}.", id=f"new-{seed}") for seed in range(20, 25)]


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".writer.lock"}
