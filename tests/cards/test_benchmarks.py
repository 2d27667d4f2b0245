import json

import pytest
from huggingface_hub import ModelCard

from comem_hf import CoMemForConditionalGeneration
from comem_hf.cards.benchmarks import BenchmarkResults
from comem_hf.cards.check import check_card
from comem_hf.cards.model_card import render_model_card


@pytest.fixture(scope="module")
def record(full) -> dict:
    """What a report writes to `benchmarks.json`."""
    row = {"benchmark": "okvqa", "language": "en", "questions": 5046, "sha256": "a" * 64, "scorer": "official"}
    row |= {"metric": "VQA accuracy", "way": "memory", "top_k": 10, "score": 45.678, "low": 44.1, "high": 47.0}
    return {
        "command": "comem evaluate --benchmark okvqa",
        "model": {"memory_fingerprint": CoMemForConditionalGeneration.from_pretrained(full).memory_fingerprint()},
        "protocol": "release",
        "results": [row | {"positions": 390.4}, row | {"way": "no memory", "top_k": 0, "positions": None}],
    }


@pytest.fixture
def folder(full, record, tmp_path):
    for path in full.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "benchmarks.json").write_text(json.dumps(record))
    return tmp_path


def test_benchmarks_beside_a_model_are_on_its_card(folder):
    text = render_model_card(folder, "ann/model")
    check_card(text, "card")
    first, second = ModelCard(text).data.eval_results
    assert (first.metric_type, first.metric_value, first.dataset_config) == ("vqa_accuracy", 45.68, "en")
    assert first.metric_args["interval"] == [44.1, 47.0] and second.metric_args["way"] == "no memory"
    row = "| okvqa (en), 5,046 questions | memory, k = 10 | official, VQA accuracy | 45.68 [44.1, 47.0] | 390 |"
    assert row in text and "protocol: release." in text
    assert "Measured by `comem evaluate --benchmark okvqa`." in text and "No evaluation came" not in text
    assert text.count("comem evaluate --benchmark okvqa") == 2  # once in the metadata, however many scores there are
    assert "## Results\n\nBenchmarks, from 0 to 100" in text


def test_a_file_without_scores_puts_nothing_on_the_card(folder, record):
    (folder / "benchmarks.json").write_text(json.dumps(record | {"results": []}))
    text = render_model_card(folder, "ann/model")
    check_card(text, "card")
    assert "Benchmarks, from 0 to 100" not in text and "No evaluation came with these files" in text


def test_benchmarks_of_another_model_are_refused(folder, record):
    (folder / "benchmarks.json").write_text(json.dumps(record | {"model": {"memory_fingerprint": "0" * 64}}))
    with pytest.raises(ValueError, match=f"The results are of another model: .* memory fingerprint {'0' * 64}, and"):
        render_model_card(folder, "ann/model", memory_fingerprint="1" * 64)


@pytest.mark.parametrize("change", [{"results": [{"benchmark": "okvqa"}]}, {"model": None}, {"results": 3}])
def test_a_file_without_benchmarks_is_refused(folder, record, change):
    (folder / "benchmarks.json").write_text(json.dumps(record | change))
    with pytest.raises(ValueError, match="benchmarks.json' holds no benchmark results of `comem evaluate`"):
        BenchmarkResults.load(folder / "benchmarks.json")
