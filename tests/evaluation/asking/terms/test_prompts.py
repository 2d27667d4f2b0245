"""The published prompts; their whole texts are compared by digest with those that the release's scripts send."""

import hashlib

import pytest

from comem_hf.evaluation.asking.terms.prompts import CVQA, MULTILINGUAL, prompt_of
from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion


def question(text="What {is} it?", language="en", options=()):
    return BenchmarkQuestion("q", text, None, None, language=language, options=options)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


PUBLISHED = {
    "infoseek.en.items": "4ccda290e1d7",
    "infoseek.en.none": "2ef5bf204a61",
    "oven.en.items": "f68defaaf760",
    "oven.en.none": "a2c77ad0d1b7",
    "mrag.en.items": "c0e741891639",
    "mrag.en.none": "0713a530a8f2",
    "okvqa.en.items": "317ab19602ba",
    "cvqa.es.items": "76b1a8126c35",
    "cvqa.pt.items": "fc87ba713b95",
    "cvqa.zh.items": "df93b1154f1d",
    "cvqa.ru.items": "49a37bdbbf07",
    "cvqa.bg.items": "1445b846139b",
    "infoseek_multilingual.es.items": "b5cd5758f0c5",
    "infoseek_multilingual.es.none": "84350876f6c7",
    "infoseek_multilingual.pt.items": "6a0eb0f30a4b",
    "infoseek_multilingual.pt.none": "15e90c9a3e9e",
    "infoseek_multilingual.zh.items": "bd8186f20388",
    "infoseek_multilingual.zh.none": "41f25478c265",
    "infoseek_multilingual.ru.items": "4f2cce4e9d6c",
    "infoseek_multilingual.ru.none": "2e96faea1ad5",
    "infoseek_multilingual.bg.items": "0146450973b1",
    "infoseek_multilingual.bg.none": "c38a1c1d9253",
}


def published(key: str) -> str:
    benchmark, language, items = key.split(".")
    options = ("one", "two", "three", "four") if benchmark in ("cvqa", "mrag") else ()
    return prompt_of(benchmark, question("Q?", language, options), has_items=items == "items")


@pytest.mark.parametrize("key", PUBLISHED)
def test_prompts_are_the_published_ones_to_the_last_blank(key):
    assert digest(published(key)) == PUBLISHED[key]


def test_the_question_is_taken_as_it_is():
    for benchmark in ("okvqa", "infoseek", "oven"):
        for has_items in (True, False):
            prompt = prompt_of(benchmark, question(), has_items=has_items)
            assert prompt.startswith("Question: What {is} it? \n") and prompt.rstrip().endswith("answer here}")


def test_only_what_the_release_words_differently_depends_on_items():
    differs = {
        benchmark
        for benchmark in ("infoseek", "oven", "mrag", "okvqa", "aokvqa", "viquae")
        if prompt_of(benchmark, question(), has_items=True) != prompt_of(benchmark, question(), has_items=False)
    }
    assert differs == {"infoseek", "oven", "mrag"}


def test_options_follow_the_question():
    options = ("a gull", "an owl", "a tern", "a crake")
    mrag = prompt_of("mrag", question("Which?", options=options), has_items=False)
    assert mrag.endswith("directly.\nWhich?\n Choices:\nA: a gull\nB: an owl\nC: a tern\nD: a crake")
    cvqa = prompt_of("cvqa", question("¿Cuál?", "es", options), has_items=True)
    assert cvqa.startswith("Pregunta: ¿Cuál?1. a gull 2. an owl 3. a tern 4. a crake  \nPara esta")


def test_every_language_of_the_paper_has_its_prompt_and_another_one_is_refused():
    assert {*CVQA} == {language for language, _ in MULTILINGUAL} == {"es", "pt", "zh", "ru", "bg"}
    for benchmark in ("cvqa", "infoseek_multilingual"):
        with pytest.raises(ValueError, match="no published prompt for .* in 'sw', only in bg, es, pt, ru, zh"):
            prompt_of(benchmark, question(language="sw"), has_items=True)
