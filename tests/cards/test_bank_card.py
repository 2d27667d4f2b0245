"""The card that a bank gets: the Hub takes it, and its example runs."""

from dataclasses import replace

import pytest
from huggingface_hub import DatasetCard

from comem_hf import MemoryBank, MemoryItem
from comem_hf.cards import check_card
from comem_hf.cards.bank_card import is_edited, render_card
from tests.bank.scores.conftest import CALIBRATION
from tests.conftest import make_image, make_model
from tests.local_hub.card_rules import problems_of_card


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory, tiny_processor):
    folder = tmp_path_factory.mktemp("model")
    make_model().save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bank(tmp_path_factory, tiny_processor):
    items = [MemoryItem(image=make_image(seed), text=f"Fact {seed}.", id=str(seed)) for seed in range(3)]
    folder = tmp_path_factory.mktemp("banks") / "bank"
    return MemoryBank.build(items, model=make_model(), processor=tiny_processor, output_dir=folder)


def test_the_hub_takes_it(bank):
    text = (bank.folder / "README.md").read_text()
    check_card(text, "card")
    assert problems_of_card(str(DatasetCard(text))) == []
    assert DatasetCard(text).data.size_categories == ["n<1K"]


def test_its_example_runs(bank, model_folder, run_example):
    text = render_card(bank.config, str(bank.folder)).replace("path/or/model", str(model_folder))
    assert run_example(text).startswith("['")


def test_it_tells_what_is_known_of_probabilities_and_nothing_of_a_later_way_to_fit_them(bank):
    assert "| scores |" not in render_card(bank.config)
    for known in ({}, {"brier": 0.1}, {"brier": "low", "pictures": 1}):
        assert render_card(replace(bank.config, calibration={"method": "later", **known})) == render_card(bank.config)
    fitted = replace(bank.config, calibration=CALIBRATION.to_block())
    line = f"with a Brier score of {CALIBRATION.brier:.3f} on disturbed pictures of {CALIBRATION.pictures} items |"
    assert line in render_card(fitted)


def test_a_card_is_edited_when_its_words_are_changed_and_not_when_its_lines_end_otherwise(bank, tmp_path):
    text = render_card(bank.config)
    path = tmp_path / "README.md"
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert not is_edited(path, None)
    path.write_bytes(text.replace("exact", "quick").encode())
    assert is_edited(path, None)
    path.write_bytes(b"\xff\xfe no text")
    assert is_edited(path, None)
