import dataclasses
import json

import pytest

from comem_hf.evaluation.report.contents import report_contents
from comem_hf.evaluation.report.paper import load_published
from comem_hf.evaluation.report.table import render_markdown
from tests.evaluation.report.conftest import RELEASE, extract


ROW = {
    "benchmark": "okvqa",
    "language": "en",
    "scorer": "release",
    "questions": 6,
    "protocol": "release",
    "model": "Ann/Memory",
    "way": "memory",
    "top_k": 3,
    "value": 71.5,
    "source": "a paper, table 2",
}


@pytest.fixture
def beside(result, settings, tmp_path):
    def beside(*rows: dict, **changes) -> dict:
        path = tmp_path / "published.json"
        path.write_text(json.dumps(rows))
        named = dataclasses.replace(result.benchmark, name="okvqa")
        return report_contents(
            [dataclasses.replace(result, benchmark=named, **changes)], settings, extract, load_published(path)
        )["benchmarks"][0]["published"]

    return beside


def test_a_number_of_the_same_measurement_stands_beside_ours(beside):
    (number,) = beside(ROW, ROW | {"model": "another"})["numbers"]
    assert number == {
        "way": "memory",
        "top_k": 3,
        "scorer": "release",
        "metric": "exact match",
        "value": 71.5,
        "here": 80.0,
        "source": "a paper, table 2",
    }


def test_of_several_numbers_of_a_scorer_the_one_of_the_same_metric_stands_beside(result, settings, tmp_path):
    f1 = dataclasses.replace(RELEASE, metric="F1", headline=lambda means: 7.0)
    named = dataclasses.replace(result.benchmark, name="okvqa")
    several = dataclasses.replace(result, benchmark=named, scorers=(*result.scorers, f1))
    path = tmp_path / "published.json"
    path.write_text(json.dumps([ROW, ROW | {"metric": "F1"}, ROW | {"metric": "exact match"}]))
    contents = report_contents([several], settings, extract, load_published(path))
    numbers = contents["benchmarks"][0]["published"]["numbers"]
    assert [(row["metric"], row["here"]) for row in numbers] == [
        *(("exact match", 80.0), ("F1", 7.0), ("exact match", 80.0)),
    ]
    assert "| memory, k = 3 | release, F1 | 71.50 | 7.00 |" in render_markdown(contents)


def test_without_memory_a_number_of_the_backbone_compares(beside):
    backbone = ROW | {"model": "backbone-7b", "way": "no memory", "top_k": 0}
    assert beside(backbone)["numbers"][0]["here"] == 50.0
    assert beside(ROW | {"model": "backbone-7b"})["numbers"] == []


@pytest.mark.parametrize(
    "change, words",
    [
        ({"model": "other"}, "the model other (here ann/memory)"),
        ({"protocol": "default"}, "the protocol 'default' (here 'release')"),
        ({"questions": 4708}, "4,708 questions (here 6)"),
        ({"metric": "F1"}, "the scorer 'release' with the metric 'F1' (not among those here)"),
        ({"top_k": 10}, "the way 'memory' with 10 items (not among those here)"),
    ],
)
def test_each_number_that_differs_has_a_sentence_that_says_how_whether_or_not_others_compare(beside, change, words):
    found = beside(ROW, ROW | change, ROW | {"questions": 1, "protocol": "x"})
    assert [number["here"] for number in found["numbers"]] == [80.0] and found["reason"] == ""
    items = change.get("top_k", 3)
    assert found["different"] == [
        f"Not comparable with 71.50 (memory, k = {items}, release) of a paper, table 2, which has {words}.",
        "Not comparable with 71.50 (memory, k = 3, release) of a paper, table 2, which has the protocol 'x' (here "
        "'release'); 1 question (here 6).",
    ]


def test_nothing_compares_where_nothing_was_asked(beside, result):
    nothing = [dataclasses.replace(each, problem="no picture") for each in result.answers[0].predictions]
    answers = (dataclasses.replace(result.answers[0], predictions=tuple(nothing)),)
    assert beside(ROW, answers=answers)["reason"].endswith("no question could be asked.")


def test_a_benchmark_without_published_numbers_says_so(beside, result, settings):
    assert "has none for this benchmark and language" in beside(ROW | {"language": "zh"})["reason"]
    assert beside()["reason"] == "No published number stands beside these: none were given."


def test_the_number_of_questions_of_the_release_is_told(result, settings):
    named = dataclasses.replace(result.benchmark, name="infoseek")
    contents = report_contents([dataclasses.replace(result, benchmark=named)], settings, extract)
    assert "its release asks 4,708 questions, not 6" in contents["benchmarks"][0]["published"]["reason"]


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "Cannot read published numbers from '.*published.json'"),
        ("{}", "must hold a list of published numbers, got a dict"),
        ('[{"benchmark": "okvqa"}]', "Published number 1 of .* must have the fields benchmark, language, .*, source"),
        (
            json.dumps([ROW, ROW | {"questions": "6"}]),
            "`questions` of published number 2 of .* a whole number, got '6'",
        ),
        (json.dumps([ROW | {"top_k": True}]), "`top_k` of published number 1 of .* must be a whole number, got True"),
        (json.dumps([ROW | {"benchmark": "vqa"}]), "`benchmark` of published number 1 .* \\['infoseek', .*got 'vqa'"),
        (json.dumps([ROW | {"way": "rag"}]), "`way` of .* one of \\['no memory', 'RAG', 'memory'\\], got 'rag'"),
        (json.dumps([ROW | {"scorer": "judge"}]), "`scorer` of .* \\['official', 'release'\\], got 'judge'"),
        (json.dumps([ROW | {"value": 0.715e4}]), "`value` of published number 1 of .* from 0 to 100, got 7150.0"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    path = tmp_path / "published.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_published(path)
