import json
from dataclasses import asdict

import pytest

from comem_hf.evaluation.asking.prediction import Prediction
from comem_hf.evaluation.benchmarks import load_benchmark
from comem_hf.evaluation.records import load_predictions
from comem_hf.evaluation.records.predictions import SETTINGS
from tests.evaluation.benchmark_formats import FORMATS


@pytest.mark.parametrize(
    ("name", "file", "first", "count"),
    [
        ("okvqa", "okvqa/results/OpenEnded_mscoco_val2014_example_results.json", "chess", 4),
        ("aokvqa", "aokvqa/predictions_val.json", "boat", 2),
        ("infoseek", "infoseek/predictions/zeroshot_example_val.jsonl", "River Lune", 6),
        ("oven", "oven/predictions/example_val_entity_bm25.jsonl", "ashen tern", 3),
        ("mrag", "mrag/results_example.jsonl", "B", 4),
        (
            "okvqa",
            "comem_release/predictions/okvqa_qwen2.5_baseline.jsonl",
            "Reasoning Process: x\nFinal answer: \\b",
            4,
        ),
        ("aokvqa", "comem_release/predictions/okvqa_qwen2.5_rag_10.jsonl", "\\boxed{boat}", 3),
        ("aokvqa", "comem_release/predictions/aokvqa_qwen2.5_baseline.jsonl", "\\boxed{boat}", 3),
        ("infoseek", "comem_release/predictions/qwen2.5_comem_val_10.jsonl", "Final answer: \\boxed{Lune}", 6),
        ("viquae", "comem_release/predictions/viquae_qwen2.5_baseline.jsonl", "Final answer: \\boxed{quills}", 3),
        ("cvqa", "comem_release/predictions/cvqa_qwen2.5_baseline.jsonl", "\\boxed{2}", 5),
    ],
)
def test_predictions_of_each_form_are_those_of_the_benchmarks_questions(name, file, first, count):
    found = load_predictions(FORMATS / file, name)
    questions = [question for benchmark in load_benchmark(name, FORMATS / name) for question in benchmark.questions]
    assert found.keys() <= {question.id for question in questions} and len(found) == count
    assert next(iter(found.values())).startswith(first)


def test_a_okvqas_own_form_has_a_prediction_for_each_setting():
    path = FORMATS / "aokvqa/predictions_val.json"
    assert list(load_predictions(path, "aokvqa", setting="multiple_choice").values()) == ["boat", "money"]
    assert list(load_predictions(path, "aokvqa").values()) == ["boat", "guard"]


def test_a_okvqas_form_for_one_setting_is_read_whole_whatever_the_setting(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"22a": "boat", "33b": ""}))
    for setting in SETTINGS:
        assert load_predictions(tmp_path / "p.json", "aokvqa", setting=setting) == {"22a": "boat", "33b": ""}


def test_our_own_predictions_are_read_empty_ones_too(tmp_path):
    lines = [asdict(Prediction("7", "Grüße", ("a",), 9)), asdict(Prediction("8", "", (), 0, "no picture"))]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert load_predictions(tmp_path / "own.jsonl", "viquae") == {"7": "Grüße", "8": ""}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "p.jsonl",
            '{"data_id": "1", "prediction": "x"}\n{"data_id": "1", "prediction": "y"}',
            "line 2: `data_id` '1' is",
        ),
        ("p.jsonl", '{"data_id": "1", "prediction": "x"}\n{"data_id": "2"}', "line 2: `prediction` is missing"),
        ("p.jsonl", '{"data_id": "1", "prediction": 7}', "line 1: `prediction` must be a string, got 7"),
        (
            "p.jsonl",
            '{"data_id": true, "prediction": ""}',
            "line 1: `data_id` must be a string, got True",
        ),
        ("p.jsonl", '{"key": "1", "text": "x"}', "line 1: a prediction has one of the pairs of fields"),
        ("p.jsonl", '{"data_id": "1", "predic', "line 1 is no valid JSON"),
        ("p.jsonl", "", "holds no predictions"),
        ("p.json", "[7]", "entry 1 must be a JSON object"),
        ("p.json", '{"1": "boat"}', "must hold a list, got"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_file_and_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message) as raised:
        load_predictions(tmp_path / name, "infoseek")
    assert str(tmp_path / name) in str(raised.value)


@pytest.mark.parametrize("fields", ["boat", {}, {"answer": "boat"}, {"direct_answer": ["boat"]}])
def test_an_entry_of_a_okvqas_own_form_that_is_wrong_is_named(tmp_path, fields):
    (tmp_path / "p.json").write_text(json.dumps({"22a": {"direct_answer": "boat"}, "33b": fields}))
    with pytest.raises(ValueError, match="p.json', entry '33b'"):
        load_predictions(tmp_path / "p.json", "aokvqa")


def test_an_unknown_benchmark_or_setting_is_refused(tmp_path):
    with pytest.raises(ValueError, match="The benchmark must be one of"):
        load_predictions(tmp_path, "vqa")
    with pytest.raises(ValueError, match="`setting` must be one of"):
        load_predictions(tmp_path, "aokvqa", setting="mc")
