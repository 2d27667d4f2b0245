"""What a build says about the texts of its items."""

import pytest

from comem_hf import MemoryBank, MemoryItem
from tests.conftest import make_image


LONG = "word " * 1001  # 5,005 characters


@pytest.fixture(scope="module")
def texts() -> list[MemoryItem]:
    texts = [LONG, LONG[:5000], LONG, None]
    return [MemoryItem(image=make_image(seed), text=text, id=str(seed)) for seed, text in enumerate(texts)]


def test_texts_that_are_cut_are_counted_in_the_log_the_configuration_and_the_card(build, texts, caplog, tmp_path):
    bank = build(texts, output_dir=tmp_path / "bank", shard_size=2)
    assert "Of 4 items 2 have a text of more than 5,000 characters; the memory encoder reads no further" in caplog.text
    assert MemoryBank.from_pretrained(bank.folder).config.cut_texts == 2
    card = (bank.folder / "README.md").read_text()
    assert "| long texts | 2 items have a longer text than the memory encoder reads |" in card


def test_the_count_of_cut_texts_follows_every_change(build, texts, items, caplog, tmp_path):
    bank = build(items[:2], output_dir=tmp_path / "bank")
    assert bank.config.cut_texts == 0 and "long texts" not in (bank.folder / "README.md").read_text()
    caplog.clear()
    bank.add(texts)
    assert bank.config.cut_texts == 2 and "Of 4 items 2 have a text of more than" in caplog.text
    bank.remove(["0", "1"])
    assert bank.config.cut_texts == 1
    assert MemoryBank.merge([bank], tmp_path / "merged").config.cut_texts == 1
    bank.remove(["2"])
    assert bank.config.cut_texts == 0


def test_a_build_in_which_no_item_has_a_text_names_the_fields_that_it_saw(build, items, caplog, tmp_path):
    silent = [
        MemoryItem(image=make_image(seed), id=str(seed), metadata={"alt": "A flag.", "n": seed}) for seed in range(4)
    ]
    build(silent, output_dir=tmp_path / "silent")
    assert "No item has a text: of 4 items only the picture gets into memory; their fields are alt, n." in caplog.text
    assert "under the names text, caption, description, txt, title, prompt." in caplog.text
    caplog.clear()
    build([*silent, items[0]], output_dir=tmp_path / "bank")
    assert "No item has a text" not in caplog.text
