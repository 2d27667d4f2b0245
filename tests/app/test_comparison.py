"""Both answers to a question, and what they cost."""

import pytest

from comem_hf import MemoryBank
from comem_hf.answering import WITHOUT_WORDS, generate_answers, question_inputs
from comem_hf.commands import main
from comem_hf.default import default_path
from comem_hf.modeling.picture_comem import load_image
from tests.conftest import make_image


QUESTION = "What is the currency of this country?"


@pytest.fixture(scope="module")
def comparison(comparer, greece):
    return comparer.compare(load_image(greece), QUESTION)


def test_the_answers_and_hits_are_those_of_comem_ask(comparison, greece, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["ask", "--image", str(greece), QUESTION])
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert exit.value.code == 0
    assert {line[1]: line[2] for line in lines if line[0] == "answer"} == {
        "without memory": comparison.without.text,
        "with memory": comparison.with_memory.text,
    }
    shown = [(hit.item.id, f"{hit.score:.3f}") for hit in comparison.hits]
    assert shown == [(line[4], line[2]) for line in lines if line[0] == "memory"]


def test_memory_knows_what_the_model_alone_does_not(comparison):
    assert comparison.with_memory.text == "Euro"
    assert comparison.without.text != "Euro"


def test_the_item_of_the_picture_decided(comparison):
    assert comparison.shares == [1, 0, 0] and comparison.hits[0].item.id == "GR"


def test_shares_need_not_be_computed(comparer, greece, monkeypatch):
    monkeypatch.setattr(comparer, "explain", False)
    monkeypatch.setattr("comem_hf.app.comparison.item_influences", lambda *inputs: pytest.fail("computed"))
    found = comparer.compare(load_image(greece), QUESTION)
    assert found.shares is None and found.with_memory.text == "Euro"


def test_without_a_picture_items_are_found_by_the_words_of_the_question(comparer):
    found = comparer.compare(None, "What is the currency of Greece?")
    assert (found.hits[0].item.id, found.hits[0].found_by) == ("GR", "words") and found.with_memory is not None
    alone = comparer.compare(None, "Xyzzy?")
    assert (alone.with_memory, alone.why_alone) == (None, WITHOUT_WORDS)


def test_without_a_picture_or_texts_the_model_answers_alone(comparer, monkeypatch):
    monkeypatch.setattr(MemoryBank, "searches_text", False)
    monkeypatch.setattr(comparer.bank, "search", lambda **query: pytest.fail(f"searched for {query}"))
    alone = comparer.compare(None, QUESTION)
    assert alone.with_memory is None and alone.shares is None and alone.hits == []
    inputs = question_inputs(comparer.processor, [QUESTION], [None])
    assert alone.without.text == generate_answers(comparer.model, comparer.processor, inputs)[0]
    assert alone.without.positions == inputs["input_ids"].shape[1]


def test_a_bank_that_can_be_searched_by_text_is_searched_by_the_question(comparer, greece, monkeypatch):
    search = comparer.bank.search
    monkeypatch.setattr(MemoryBank, "embeds_text", True)
    monkeypatch.setattr(comparer.bank, "search", lambda text, k: search(image=greece, k=k) if text == QUESTION else [])
    found = comparer.compare(None, QUESTION)
    assert found.hits[0].item.id == "GR" and found.with_memory.text == "Euro"


def test_positions_are_the_prompt_then_the_memory_then_what_pasting_would_take(comparison, comparer, greece):
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    prompt = comparer.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = comparer.processor(text=[prompt], images=[load_image(greece)], return_tensors="pt")
    alone = inputs["input_ids"].shape[1]
    assert comparison.without.positions == alone
    assert comparison.with_memory.positions == alone + 3 * comparer.model.config.num_memory_tokens
    texts = [len(comparer.processor.tokenizer(hit.item.text)["input_ids"]) for hit in comparison.hits]
    assert comparison.pasted_positions > alone + sum(texts)


def test_with_a_least_probability_a_picture_that_the_bank_lacks_is_answered_alone(comparer):
    alone = comparer.compare(make_image(3, (250, 140)), QUESTION, min_score=0.5)
    assert alone.with_memory is None and alone.hits == []
    assert alone.why_alone.startswith("Nothing found: no item of the bank shows the same thing")
    flag = load_image(default_path("examples") / "am.png")
    found = comparer.compare(flag, QUESTION, min_score=0.5)
    assert [hit.item.id for hit in found.hits] == ["AM"] and found.with_memory.text == "Armenian Dram"
    assert len(comparer.compare(flag, QUESTION).hits) == 3
