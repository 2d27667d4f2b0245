"""`comem evaluate NAME...`, on small files in the benchmarks' own forms."""

import json
import re
import shutil
from pathlib import Path

import pytest

from comem_hf.evaluation.benchmarks import BENCHMARKS
from tests.conftest import make_image
from tests.processes.together import command_line, run_together


GOLDEN = Path(__file__).parents[2] / "golden" / "benchmarks"
DATA = GOLDEN / "formats"
VOCABULARY = ("--vocabulary", GOLDEN / "scorers" / "bert_base_uncased_vocab.txt")
LANGUAGES = {"cvqa": 5, "infoseek_multilingual": 5}
BOTH = {"official", "release"}
SAME = ("report.md", "report.json", "score_by_items.png", "score_by_positions.png", "model-index.yaml")


@pytest.fixture
def evaluate(comem, model_folder, bank_folder, tmp_path):
    """Runs `comem evaluate` on the tiny model and bank."""
    common = ["--data", DATA, "--output", tmp_path / "run"]

    def run(*arguments, model=model_folder, bank=bank_folder):
        asked = ["--model", model, "--max-new-tokens", 3] if model else []
        return comem("evaluate", *common, *arguments, *asked, *(["--bank", bank] if bank else []))

    return run


def report_of(outcome: tuple[int, str, str], folder: Path) -> str:
    assert outcome[0] == 0, outcome
    return (folder / "run" / "report.md").read_text(encoding="utf-8")


def contents(folder: Path, *parts: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.joinpath(*parts).iterdir()) if path.is_file()}


def test_all_eight_are_answered_in_three_ways_and_an_interrupted_run_ends_with_the_same_report(
    evaluate, tmp_path, monkeypatch
):
    arguments = ["all", "--top-k", 1, "--top-k", 2, *VOCABULARY]
    code, output, errors = evaluate(*arguments)
    assert code == 0, errors
    rows = [line.split("\t") for line in output.splitlines()]
    assert len(rows) == 5 * sum(LANGUAGES.get(name, 1) for name in BENCHMARKS)
    assert {row[0] for row in rows} == {"benchmarks, scores from 0 to 100"}
    assert {row[2] for row in rows} == {"no memory", "RAG, k = 1", "RAG, k = 2", "memory, k = 1", "memory, k = 2"}
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert {benchmark["name"] for benchmark in report["benchmarks"]} == {*BENCHMARKS}
    for benchmark in report["benchmarks"]:
        scorers = {score["scorer"] for score in benchmark["ways"][0]["scores"]}
        # The Portuguese file has unseen questions alone, of which no number can be made.
        assert scorers == (set() if benchmark["language"] == "pt" and "info" in benchmark["name"] else BOTH)
    assert "answered, not scored: The questions of infoseek_multilingual (pt) that were read give no" in errors
    assert "there is no unseen_entity" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert str(tmp_path) not in json.dumps(report) and str(DATA) not in json.dumps(report)

    whole, predictions = contents(tmp_path / "run"), contents(tmp_path / "run", "predictions")
    # As if the run had ended in the middle of a line of the last file but one.
    *_, cut, lost = sorted((tmp_path / "run" / "predictions").iterdir())
    lost.unlink()
    cut.rename(cut.with_suffix(".part0.jsonl"))
    part = cut.with_suffix(".part0.jsonl")
    part.write_bytes(part.read_bytes()[:-9])
    assert evaluate(*arguments)[0] == 0
    assert contents(tmp_path / "run", "predictions") == predictions
    again = contents(tmp_path / "run")
    assert {name: again[name] for name in SAME} == {name: whole[name] for name in SAME}


def test_items_of_the_release_are_pasted_and_encoded_as_it_did(evaluate, tmp_path):
    arguments = ["infoseek", "okvqa", "--records", DATA / "comem_release", "--protocol", "release", "--top-k", 2]
    code, output, errors = evaluate(*arguments, bank=None)
    assert code == 0, errors
    predictions = tmp_path / "run" / "predictions"
    rows = [json.loads(line) for line in (predictions / "infoseek.en.memory-2.jsonl").read_text().splitlines()]
    assert rows[0]["items"] == ["infoseek_val_00000000/0", "infoseek_val_00000000/1"] and not rows[0]["problem"]
    assert [row["problem"] for row in rows if not row["items"]] == ["No items were retrieved for the question."] * 2
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["settings"]["protocol"] == "release"
    assert report["settings"]["sampling"] == {
        "memory": {"temperature": 0.1, "top_p": 0.001, "repetition_penalty": 1.05}
    }
    assert "--protocol release" in report["settings"]["command"]


def test_predictions_of_other_code_are_scored(evaluate):
    released = DATA / "comem_release" / "predictions"
    code, output, _ = evaluate(
        "okvqa", "--predictions", released / "okvqa_qwen2.5_baseline.jsonl", model=None, bank=None
    )
    assert code == 0
    _, name, way, official, release, positions = output.strip().split("\t")
    assert (name, way, positions) == ("okvqa en", "predictions", "—")
    # chess: 6 of 10 wrote it; pear: 4 of 10; the release takes "dogs bed" for right where "dog's bed" was written.
    assert official not in ("0.00", "—") and release not in ("0.00", "—")


def test_choices_in_a_okvqas_own_form_are_scored_when_that_is_asked_for(evaluate, tmp_path):
    file = ("--predictions", DATA / "aokvqa" / "predictions_val.json")
    assert "direct answer accuracy" in report_of(evaluate("aokvqa", *file, model=None, bank=None), tmp_path)
    text = report_of(evaluate("aokvqa", *file, "--multiple-choice", model=None, bank=None), tmp_path)
    assert "official, multiple choice accuracy" in text and "direct answer" not in text
    assert "--multiple-choice --output" in text


def test_questions_that_are_all_left_out_are_refused_with_the_way_out(comem, tmp_path):
    shutil.copytree(DATA / "aokvqa", tmp_path / "data")
    path = tmp_path / "data" / "aokvqa_v1p0_val.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps([rows[0] | {"difficult_direct_answer": True}, *rows[1:]]))
    code, _, errors = comem("evaluate", "aokvqa", "--data", path.parent, "--output", tmp_path / "run", "--limit", 1)
    assert code == 2 and "leaves out all questions of aokvqa (en) that were read (1): raise `limit`" in errors


@pytest.mark.slow
def test_two_processes_give_the_predictions_of_one(evaluate, model_folder, bank_folder, tmp_path):
    assert evaluate("okvqa", "infoseek", "--batch-size", 2, "--top-k", 2)[0] == 0
    words = ["evaluate", "okvqa", "infoseek", "--batch-size", 2, "--top-k", 2, "--max-new-tokens", 3]
    words += ["--model", model_folder, "--bank", bank_folder, "--data", DATA, "--output", tmp_path / "two"]
    (first, shown), other = run_together(command_line, *words)
    assert first == 0 and len(shown.splitlines()) == 2 * 3 and other == (0, "")  # one process prints
    assert contents(tmp_path / "two", "predictions") == contents(tmp_path / "run", "predictions")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["vqav2"], "Benchmarks are infoseek, .* and 'all', got 'vqav2'"),
        (["okvqa", "--protocol", "published"], r"`--protocol` must be one of \['equal', 'release'\], got 'published'"),
        (["okvqa", "--way", "oracle"], "`ways` must be among .*got 'oracle'"),
        (["okvqa", "--records", DATA], "`--bank` or `--records`, not both"),
        (["okvqa", "--questions", "q.jsonl"], "`--questions` are asked without a benchmark"),
        (["okvqa", "--language", "es"], "`--language` must be among .*en.* here"),
        (["okvqa", "--split", "dev"], "`split` of 'okvqa' must be one of"),
        (["okvqa", "mrag", "--predictions", "x.jsonl"], "`--predictions` are of one benchmark"),
        (["cvqa", "--predictions", DATA / "comem_release/predictions/cvqa_qwen2.5_baseline.jsonl"], "of one language"),
        (
            ["viquae", "--predictions", DATA / "comem_release/predictions/okvqa_qwen2.5_baseline.jsonl"],
            "no question here of",
        ),
        (["okvqa", "--predictions", "x.jsonl", "--top-k", 2], "`--top-k` has no effect beside `--predictions`"),
        (["okvqa", "--published", "missing.json"], "Cannot read published numbers"),
        (["okvqa", "aokvqa", "--multiple-choice"], "`--multiple-choice` scores `--predictions` of 'aokvqa'"),
        (["okvqa", "infoseek", "--limit", 1], "InfoSeek's number .* no unseen_entity"),
        (["infoseek_multilingual", "--language", "pt"], r"infoseek_multilingual \(pt\) .* no unseen_entity"),
        (["oven", "--limit", 3, *VOCABULARY], "the query set has no unseen ones"),
    ],
)
def test_what_does_not_fit_is_refused_before_questions_are_asked(
    evaluate, model_folder, bank_folder, tmp_path, arguments, message
):
    asks = "--predictions" not in arguments
    code, output, errors = evaluate(*arguments, model=asks and model_folder, bank=asks and bank_folder)
    assert (code, output) == (2, "")
    assert re.search(message, errors), errors
    assert not (tmp_path / "run" / "predictions").exists()


def test_benchmarks_need_data_and_a_folder_and_options_of_benchmarks_need_one(comem, tmp_path):
    assert "`--data` must name the folder" in comem("evaluate", "okvqa")[2]
    assert "`--output` must name a folder" in comem("evaluate", "okvqa", "--data", DATA)[2]
    (tmp_path / "file").touch()
    assert "is a file" in comem("evaluate", "okvqa", "--data", DATA, "--output", tmp_path / "file")[2]
    code, _, errors = comem("evaluate", "--data", DATA)
    assert code == 2 and "`--data` is for benchmarks: name one" in errors
    code, _, errors = comem("evaluate", "--top-k", 1, "--top-k", 2)
    assert code == 2 and "`--top-k` may be given several times for benchmarks only" in errors


def test_a_run_grows_and_a_folder_of_another_run_is_refused(evaluate, tmp_path):
    assert evaluate("okvqa", "--way", "no_memory", "--limit", 2)[0] == 0
    code, output, errors = evaluate("OK-VQA", "--way", "No-Memory", "--way", "rag", "--top-k", 1)
    assert code == 0 and len(output.splitlines()) == 2, errors
    code, output, errors = evaluate("viquae", "okvqa", "--way", "memory", "--top-k", 2)
    assert code == 0 and "Not in this report" not in errors
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    ways = {each["name"]: [(way["way"], way["top_k"]) for way in each["ways"]] for each in report["benchmarks"]}
    assert ways == {"viquae": [("memory", 2)], "okvqa": [("no memory", 0), ("RAG", 1), ("memory", 2)]}
    code, _, errors = evaluate("viquae", "--way", "memory", "--top-k", 2)
    assert code == 0 and "Not in this report, because the command does not name them: okvqa (en)." in errors

    assert "`--predictions` would replace" in evaluate("okvqa", "--predictions", "x", model=None, bank=None)[2]
    assert "of more questions than are asked now" in evaluate("okvqa", "--way", "no memory", "--limit", 2)[2]
    code, _, errors = evaluate("okvqa", "--protocol", "release")
    assert (
        code == 2 and "holds predictions of another run: `protocol` was 'equal' there and is 'release' now" in errors
    )


def test_another_bank_of_the_same_name_is_another_run(evaluate, comem, model_folder, items_file, tmp_path):
    build = ["build-bank", items_file, tmp_path / "bank", "--model", model_folder]
    assert comem(*build)[0] == 0
    ask = ["okvqa", "--way", "RAG", "--limit", 2, "--top-k", 1]
    assert evaluate(*ask, bank=tmp_path / "bank")[0] == 0
    changed = items_file.read_text().replace("Fact 0.", "Another fact.")
    (items_file.parent / "changed.jsonl").write_text(changed)
    assert comem("build-bank", items_file.parent / "changed.jsonl", *build[2:], "--overwrite")[0] == 0
    code, _, errors = evaluate(*ask, bank=tmp_path / "bank")
    assert code == 2 and "holds predictions of another run: `bank digest` was" in errors


def test_a_split_without_answers_is_answered_and_not_scored(evaluate, tmp_path):
    (tmp_path / "data" / "coco" / "test2017").mkdir(parents=True)
    make_image().save(tmp_path / "data" / "coco" / "test2017" / "000000000100.jpg")
    shutil.copy(DATA / "aokvqa" / "aokvqa_v1p0_test.json", tmp_path / "data")
    ask = ["aokvqa", "--split", "test", "--way", "no memory"]
    assert "No picture of aokvqa was found" in evaluate(*ask)[2]
    code, output, errors = evaluate(*ask, "--data", tmp_path / "data")
    assert code == 0, errors
    assert output.split("\t")[1:5] == ["aokvqa en", "no memory", "—", "—"]
    assert not (tmp_path / "run" / "benchmarks.json").exists()
    assert "not scored" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")


def test_without_items_the_model_is_asked_alone(evaluate):
    code, output, errors = evaluate("okvqa", bank=None)
    assert code == 0 and [line.split("\t")[2] for line in output.splitlines()] == ["no memory"]
    assert "asked without items alone" in errors
