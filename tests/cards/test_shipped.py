"""The cards of what is released: valid, true, and with examples that run."""

import hashlib
import re
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, ModelCard

from comem_hf.bank.format.config import BankConfig
from comem_hf.cards import check_card
from comem_hf.default import default_path
from tests.local_hub.card_rules import problems_of_card


CARDS = Path(__file__).parents[2] / "model_cards"
README = CARDS.parent / "README.md"
MODEL, BANK = (CARDS / f"atlas-small{part}.md" for part in ("", "-bank"))


@pytest.mark.parametrize("path, card_class", [(MODEL, ModelCard), (BANK, DatasetCard)])
def test_the_hub_takes_it(path, card_class):
    check_card(path.read_text(encoding="utf-8"), path.name)
    assert problems_of_card(str(card_class.load(path))) == []


@pytest.mark.parametrize("path", [MODEL, BANK])
def test_its_example_prints_what_it_says(path, run_example):
    text = path.read_text(encoding="utf-8")
    assert run_example(text).splitlines() == re.findall(r"print\(.*  # => (.*)$", text, re.MULTILINE)


def test_the_scores_in_the_metadata_are_those_in_the_text_and_in_the_readme():
    rows = re.findall(r"^\| (.+?) \| ([01]\.\d{3}) \| \d+ \|$", MODEL.read_text(encoding="utf-8"), re.MULTILINE)
    stated = {result.metric_name: result.metric_value for result in ModelCard.load(MODEL).data.eval_results}
    assert len(rows) == 5
    assert stated == {f"exact match, {way}": pytest.approx(float(score), abs=6e-4) for way, score in rows}
    for way, score in rows:
        assert f"| {way} | {score} |" in README.read_text(encoding="utf-8")


def test_what_the_cards_say_of_questions_and_bank_is_so():
    (result, *_) = ModelCard.load(MODEL).data.eval_results
    assert result.dataset_revision == hashlib.sha256(default_path("questions.jsonl").read_bytes()).hexdigest()
    config = BankConfig.load(default_path("bank"))
    text = BANK.read_text(encoding="utf-8")
    assert f"fingerprint `{config.memory_fingerprint}`" in text
    assert f"| items | {config.num_items}," in text
