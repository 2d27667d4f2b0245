"""A model in a folder, and Python examples of cards, run as a reader would run them."""

import re

import pytest

from tests.conftest import make_image, make_model


@pytest.fixture(scope="module")
def full(tmp_path_factory, tiny_processor):
    folder = tmp_path_factory.mktemp("full")
    make_model().save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture
def run_example(tmp_path, monkeypatch, capsys):
    """Runs the Python blocks of a card where `picture.png` is; returns what they print."""

    def run(card: str) -> str:
        blocks = re.findall(r"^```python\n(.*?)^```", card, re.DOTALL | re.MULTILINE)
        assert blocks
        make_image(1).save(tmp_path / "picture.png")
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        exec(compile("\n".join(blocks), "card", "exec"), {})
        return capsys.readouterr().out

    return run
