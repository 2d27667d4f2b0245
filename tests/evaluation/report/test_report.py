import dataclasses
import json
import sys

import pytest
from PIL import Image

from comem_hf.cards.benchmarks import BenchmarkResults
from comem_hf.evaluation.report.report import write_report
from comem_hf.evaluation.report.table import render_markdown
from tests.evaluation.report.conftest import extract


def test_a_report_is_seven_files_that_agree(result, settings, tmp_path):
    folder = tmp_path / "a" / "report"
    contents = write_report([result], settings, folder, extract=extract)
    assert sorted(path.name for path in folder.iterdir()) == [
        "benchmarks.json",
        "model-index.yaml",
        "report.json",
        "report.md",
        "run.json",
        "score_by_items.png",
        "score_by_positions.png",
    ]
    read = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert read == contents and read["settings"] == settings.record()
    assert (folder / "report.md").read_text(encoding="utf-8") == render_markdown(
        read, ["score_by_items.png", "score_by_positions.png"]
    )
    assert json.loads((folder / "run.json").read_text()) == {"started": "2026-01-01"}
    assert BenchmarkResults.load(folder / "benchmarks.json").rows[4]["score"] == 85.71
    with Image.open(folder / "score_by_positions.png") as image:
        image.load()


def test_the_same_answers_give_the_same_bytes_whenever_they_were_made(result, settings, tmp_path):
    later = dataclasses.replace(settings, run={"started": "2027-01-01", "seconds": 9})
    write_report([result], settings, tmp_path / "one", extract=extract)
    write_report([result], later, tmp_path / "two", extract=extract)
    for path in (tmp_path / "one").iterdir():
        assert (path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()) == (path.name != "run.json"), (
            path.name
        )


def test_an_earlier_report_is_replaced_whole(result, settings, tmp_path):
    write_report([result], settings, tmp_path / "report", extract=extract)
    write_report([dataclasses.replace(result, scorers=())], settings, tmp_path / "report", extract=extract)
    names = [path.name for path in (tmp_path / "report").iterdir()]
    assert sorted(names) == ["report.json", "report.md", "run.json"]
    assert ".png" not in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("earlier", [True, False])
def test_scores_of_other_code_are_for_no_card(earlier, result, settings, tmp_path):
    if earlier:
        write_report([result], settings, tmp_path, extract=extract)
    else:
        (tmp_path / "benchmarks.json").write_text("of a model")
    other = dataclasses.replace(result, answers=(dataclasses.replace(result.answers[0], way="predictions"),))
    write_report([other], dataclasses.replace(settings, protocol="of other code"), tmp_path, extract=extract)
    names = {path.name for path in tmp_path.iterdir()} - {"made_up.jsonl"}
    assert names == {"report.json", "report.md", "run.json", *([] if earlier else ["benchmarks.json"])}
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| made_up en | predictions | 33.33 [0.0, 66.7] | 50.00 [15.0, 85.0] | — | 1 |" in text


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sampling": {"seed": object()}}, "settings of a report must be plain values that JSON can hold"),
        ({"further": {"temperature": float("nan")}}, "settings of a report must be plain values that JSON can hold"),
    ],
)
def test_settings_that_json_cannot_hold_are_refused_before_anything_is_written(
    change, message, result, settings, tmp_path
):
    with pytest.raises(ValueError, match=message):
        write_report([result], dataclasses.replace(settings, **change), tmp_path / "report", extract=extract)
    assert not (tmp_path / "report").exists()


def test_without_matplotlib_nothing_is_written(result, settings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match="need matplotlib"):
        write_report([result], settings, tmp_path / "report", extract=extract)
    assert not (tmp_path / "report").exists()
