import dataclasses

import yaml

from comem_hf.evaluation.report.contents import report_contents
from comem_hf.evaluation.report.model_index import benchmarks_record, fits_a_card, model_index
from tests.evaluation.report.conftest import answers, extract


def test_a_benchmark_is_an_entry_with_all_its_ways_and_scorers(result, settings):
    other = dataclasses.replace(result, benchmark=dataclasses.replace(result.benchmark, language="pt"))
    (index,) = yaml.safe_load(model_index(report_contents([result, other], settings, extract)))["model-index"]
    assert index["name"] == "memory"
    english, portuguese = index["results"]
    assert english["task"] == {"type": "visual-question-answering"}
    assert english["dataset"]["name"] == "made_up (en), 6 questions" and english["dataset"]["config"] == "en"
    assert portuguese["dataset"]["config"] == "pt" and len(english["dataset"]["revision"]) == 64
    assert english["dataset"]["args"] == {"protocol": "release", "command": "comem evaluate --benchmark made_up"}
    assert len(english["metrics"]) == 6
    assert english["metrics"][5] == {
        "type": "exact_match",
        "value": 80.0,
        "name": "exact match, release scorer, memory, k = 3",
        "args": {
            "way": "memory",
            "top_k": 3,
            "scorer": "release",
            "interval": [40.0, 100.0],
        },
    }


def test_nothing_scored_is_no_index(result, settings):
    contents = report_contents([dataclasses.replace(result, scorers=())], settings, extract)
    assert model_index(contents) == "" and benchmarks_record(contents)["results"] == []
    assert not fits_a_card(contents)


def test_a_way_that_could_not_be_asked_is_not_on_a_card(result, settings):
    ways = (answers("RAG", 3, "rrrrrr", problems=range(6)), result.answers[2])
    record = benchmarks_record(report_contents([dataclasses.replace(result, answers=ways)], settings, extract))
    assert [row["way"] for row in record["results"]] == ["memory", "memory"]
