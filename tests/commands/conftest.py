"""A model folder, a bank folder and a picture, and how to run `comem` on them."""

import json

import pytest

from comem_hf.commands import main
from tests.conftest import make_image, make_model


@pytest.fixture
def comem(capsys):
    """Runs a command line; returns exit code, standard output and standard error."""

    def run(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return exit.value.code, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def model_folder(tiny_processor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    make_model().save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tower_folder(tiny_processor, tmp_path_factory):
    """A model with memory in its vision tower alone, which takes no items."""
    folder = tmp_path_factory.mktemp("tower")
    make_model(num_memory_tokens=0, vision_memory_config={}).save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def slots_folder(tiny_processor, tmp_path_factory):
    """The model of `model_folder`, whose bank it takes, with slots for two items."""
    folder = tmp_path_factory.mktemp("slots")
    model = make_model()
    model.add_ffn_memory(source="memory", num_slots=16, projector_hidden=8)
    model.save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def items_file(tmp_path_factory):
    """Four items with their pictures beside the file; one field is metadata, one line is empty."""
    folder = tmp_path_factory.mktemp("items")
    (folder / "pictures").mkdir()
    lines = []
    for seed in range(4):
        make_image(seed).save(folder / "pictures" / f"{seed}.png")
        lines.append(
            {"image": f"pictures/{seed}.png", "text": f"Fact {seed}.", "id": f"item-{seed}", "source": "test"}
        )
    (folder / "items.jsonl").write_text("\n\n".join(map(json.dumps, lines)) + "\n")
    return folder / "items.jsonl"


@pytest.fixture(scope="session")
def bank_folder(model_folder, items_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("banks") / "bank"
    with pytest.raises(SystemExit) as exit:
        main(["build-bank", str(items_file), str(folder), "--model", str(model_folder)])
    assert exit.value.code == 0
    return folder


@pytest.fixture
def picture(tmp_path):
    make_image(2, (70, 50)).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.fixture
def default(monkeypatch, model_folder, bank_folder):
    """Makes the tiny model and bank the embedded default."""
    monkeypatch.setattr("comem_hf.default.default_path", {"model": model_folder, "bank": bank_folder}.__getitem__)
