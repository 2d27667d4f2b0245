import dataclasses

import pytest

from comem_hf.evaluation.report.contents import report_contents
from tests.evaluation.report.conftest import extract


@pytest.fixture
def made_up(result, settings) -> dict:
    return report_contents([result], settings, extract)["benchmarks"][0]


def test_counts_and_positions_are_of_the_questions_that_were_asked(made_up):
    way = made_up["ways"][2]
    assert (way["way"], way["top_k"], way["asked"], way["positions"]) == ("memory", 3, 5, 126.4)
    assert way["problems"] == [{"id": "q3", "problem": "the picture is missing"}]


def test_scores_have_groups_intervals_and_counts(made_up):
    official, release = made_up["ways"][2]["scores"]
    assert official["groups"] == [
        {"group": "old", "questions": 2, "mean": 100.0},
        {"group": "new", "questions": 4, "mean": 75.0},
    ]
    assert official["score"] == 85.71 and official["low"] < 85.71 < official["high"] == 100
    assert (official["questions"], official["unextractable"]) == (6, 0)
    assert (release["questions"], release["unextractable"]) == (5, None)


def test_memory_is_compared_with_no_memory_and_with_rag_of_as_many_items(result, settings):
    more = dataclasses.replace(result.answers[1], top_k=10)
    result = dataclasses.replace(result, answers=(more, *result.answers))
    differences = report_contents([result], settings, extract)["benchmarks"][0]["differences"]
    assert [(row["way"], row["minus"]["way"], row["minus"]["top_k"]) for row in differences] == [
        ("memory", "no memory", 0),
        ("memory", "RAG", 3),
    ]
    assert differences[0]["scores"][0]["difference"] == 52.38  # 85.71 - 33.33
    assert differences[0]["scores"][1]["difference"] == 30.0  # 80 - 50


def test_scores_are_broken_down_by_split_and_by_kind_where_there_is_more_than_one(made_up):
    official, release = made_up["ways"][0]["scores"]
    assert [(part["split"], part["questions"], part["mean"]) for part in official["by_split"]] == [
        ("old", 2, 50.0),
        ("new", 4, 25.0),
    ]
    assert [(part["kind"], part["questions"]) for part in official["by_kind"]] == [("even", 5), ("odd", 1)]
    assert release["by_kind"] == []  # it leaves out the other kind
    assert all(part["low"] <= part["mean"] <= part["high"] for part in official["by_split"])


def test_data_files_are_known_by_name_and_digest(made_up, result, settings, tmp_path):
    (file,) = made_up["files"]
    assert (file["file"], file["size"]) == ("made_up.jsonl", 3) and len(file["sha256"]) == 64
    (tmp_path / "made_up.jsonl").unlink()
    with pytest.raises(ValueError, match="The data file '.*made_up.jsonl' cannot be read any more .No such file"):
        report_contents([result], settings, extract)


def test_questions_without_scorers_are_reported_unscored(result, settings):
    result = dataclasses.replace(result, scorers=())
    benchmark = report_contents([result], settings, extract)["benchmarks"][0]
    assert benchmark["differences"] == [] and benchmark["ways"][0]["scores"] == []


def test_a_way_of_which_nothing_was_asked_has_no_positions(result, settings):
    nothing = dataclasses.replace(
        result.answers[0],
        predictions=tuple(dataclasses.replace(each, problem="no picture") for each in result.answers[0].predictions),
    )
    answered = dataclasses.replace(result, answers=(nothing, result.answers[2]))
    (benchmark,) = report_contents([answered], settings, extract)["benchmarks"]
    way = benchmark["ways"][0]
    assert (way["positions"], way["items"], way["asked"]) == (None, None, 0)
    for score in way["scores"]:
        assert (score["score"], score["low"], score["high"], score["groups"][0]["mean"]) == (None, None, None, None)
        assert all(part["mean"] is None and part["questions"] for part in score["by_split"])
    assert benchmark["ways"][1]["scores"][0]["score"] == 85.71
    assert [score["difference"] for score in benchmark["differences"][0]["scores"]] == [None, None]


def test_the_items_that_were_given_are_counted(result, settings):
    few = [
        dataclasses.replace(each, items=each.items[:number])
        for number, each in enumerate(result.answers[1].predictions)
    ]
    result = dataclasses.replace(result, answers=(dataclasses.replace(result.answers[1], predictions=tuple(few)),))
    (benchmark,) = report_contents([result], settings, extract)["benchmarks"]
    assert benchmark["ways"][0]["items"] == 1.8  # 0, 1, 2, 3 and 3; the fourth was not asked


def test_what_other_code_gave_its_model_is_not_known(result, settings):
    other = dataclasses.replace(result.answers[0], way="predictions")
    (benchmark,) = report_contents([dataclasses.replace(result, answers=(other,))], settings, extract)["benchmarks"]
    way = benchmark["ways"][0]
    assert (way["positions"], way["items"]) == (None, None) and way["scores"][1]["score"] == 50.0


def test_a_report_of_nothing_is_refused(settings):
    with pytest.raises(ValueError, match="A report needs the answers to a benchmark, got none"):
        report_contents([], settings, extract)
