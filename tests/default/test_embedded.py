"""What the package carries: it loads, fits together, and finds what it is shown."""

import re

import pytest
from PIL import Image

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank, MemoryImageTextToTextPipeline
from comem_hf.answering import generate_answers, question_inputs
from comem_hf.bank.encoding.fit import item_settings
from comem_hf.default import PARTS, default_path
from comem_hf.evaluation import evaluate, exact_match, load_questions, recall_at_1


@pytest.fixture(scope="module")
def processor():
    return CoMemProcessor.from_pretrained(default_path("model"))


@pytest.fixture(scope="module")
def model():
    return CoMemForConditionalGeneration.from_pretrained(default_path("model")).eval()


@pytest.fixture(scope="module")
def bank(model, processor):
    return MemoryBank.from_pretrained(default_path("bank"), model=model, processor=processor)


@pytest.fixture(scope="module")
def questions():
    return load_questions(default_path("questions.jsonl"))


def test_an_unknown_or_missing_part_is_named():
    with pytest.raises(ValueError, match="`part` must be one of .*'weights'"):
        default_path("weights")
    with pytest.raises(ValueError, match="The embedded default 'atlas-huge' has no 'bank' in this installation"):
        default_path("bank", name="atlas-huge")


def test_it_is_at_most_60_megabytes():
    files = [file for part in PARTS for file in [default_path(part), *default_path(part).rglob("*")] if file.is_file()]
    assert 0 < sum(file.stat().st_size for file in files) <= 60e6


def test_the_model_that_encoded_the_bank_is_the_one_it_comes_with(model, bank):
    assert bank.config.memory_fingerprint == model.memory_fingerprint()
    bank.verify()


def test_the_bank_says_with_which_settings_its_items_were_prepared(processor, bank):
    assert bank.config.processor == item_settings(processor)


def test_the_item_of_the_flag_decides_what_only_memory_knows(model, processor, bank, questions):
    ask = MemoryImageTextToTextPipeline(model, processor, memory_bank=bank, device="cpu", explain=True)
    only_here = [question for question in questions if question.kind in ("name", "capital", "code")]
    for question in only_here[::20]:
        (answer,) = ask(images=bank[question.item_id].load_image(), text=question.question, top_k=3)
        assert answer["memories"][0]["id"] == question.item_id
        assert answer["memories"][0]["share"] > 0.95, (question, answer)


def test_questions_are_about_held_out_items_and_their_answers_stand_in_the_items(bank, questions):
    asked = {question.item_id for question in questions}
    assert len(asked) >= 40
    assert all(bank[item_id].metadata["held_out"] for item_id in asked)
    assert all(question.answer in bank[question.item_id].text for question in questions)


def test_disturbed_flags_find_their_country(bank):
    recall = recall_at_1(bank)
    assert min(recall.values()) >= 0.95, recall


def test_memory_answers_like_items_in_the_prompt_and_nothing_is_known_without(model, processor, bank, questions):
    scores = {score.way: score.exact_match for score in evaluate(model, processor, bank, questions[::5])}
    assert scores["no memory"] <= 0.10
    assert scores["RAG, true item"] >= 0.90
    assert scores["memory, true item"] >= max(0.90, scores["RAG, true item"] - 0.03)
    assert scores["memory, top-k"] >= scores["memory, true item"] - 0.05


def test_with_another_countrys_memory_it_answers_for_that_country(model, processor, bank, questions):
    right = []
    for asked, other in zip(questions[:120:5], questions[60:180:5], strict=True):
        assert asked.kind == other.kind
        memory = bank.memory_inputs([[other.item_id]])
        flag = bank[asked.item_id].load_image()
        inputs = question_inputs(processor, [asked.question], [flag], memory_inputs=memory)
        [answer] = generate_answers(model, processor, inputs)
        right.append(exact_match(answer, other.answer))
    assert sum(right) / len(right) >= 0.9


def test_examples_are_pictures_of_held_out_countries(bank, questions):
    examples = sorted(default_path("examples").glob("*.png"))
    assert examples
    for path in examples:
        with Image.open(path) as image:
            (hit,) = bank.search(image=image.convert("RGB"), k=1)
        assert re.fullmatch(hit.item.id, path.stem.upper())
        assert hit.item.id in {question.item_id for question in questions}
