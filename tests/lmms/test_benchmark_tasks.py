"""Documents, pictures, prompts and scores of the benchmarks' tasks; lmms-eval itself is not needed for them."""

import dataclasses
import json
import math

import pytest
from datasets import Dataset

from comem_hf.evaluation.asking.terms.prompts import prompt_of
from comem_hf.evaluation.scoring import score_set
from comem_hf.lmms import TASKS
from comem_hf.lmms.benchmark_files import FOLDER, VOCABULARY, open_benchmark, scorers_for
from comem_hf.lmms.benchmark_tasks import documents, official, pictures_of, prompt, release, scores


NAMES = [json.loads(line)["task"] for line in (TASKS / "benchmarks.jsonl").read_text(encoding="utf-8").splitlines()]

HALF = "comem_infoseek_pt"  # has unseen questions alone, and so no number


def documents_of(task: str) -> Dataset:
    return documents(Dataset.from_dict({"task": NAMES}, split=task))


def right_answer(question) -> str:
    reference = question.reference
    if "answer_eval" in reference:
        first = reference["answer_eval"][0]
        return str(first["range"][0]) if isinstance(first, dict) else first
    if "Label" in reference:
        return str(reference["Label"] + 1)
    if "direct_answers" in reference:
        return reference["direct_answers"][0]
    return reference.get("entity_text") or reference.get("answer_choice") or reference["answer"][0]


@pytest.mark.parametrize("task", NAMES)
def test_scores_are_those_of_the_scorers(benchmarks, task):
    benchmark, found = open_benchmark(task), documents_of(task)
    assert [row["id"] for row in found] == [question.id for question in benchmark.questions]
    boxed = ["wrong", *(f"\\boxed{{{right_answer(question)}}}" for question in benchmark.questions[1:])]
    bare = ["wrong", *map(right_answer, benchmark.questions[1:])]
    for name, headline in (("official", official), ("release", release)):
        scorer = scorers_for(task)[name]
        rows = [scores(row, [answer]).get(name) for row, answer in zip(found, boxed, strict=True)]
        counted = [scorer.group(question) is not None for question in benchmark.questions]
        assert [row is not None for row in rows] == counted
        rows = [row for row in rows if row is not None]
        texts = boxed if scorer.extracts else bare
        pairs = zip(texts, benchmark.questions, strict=True)
        answered = [pair for pair, counts in zip(pairs, counted, strict=True) if counts]
        if task == HALF:
            assert math.isnan(headline(rows))
            scorer = dataclasses.replace(scorer, headline=len)
        else:
            assert headline(rows) == score_set(scorer, answered).score
        assert [row["score"] for row in rows] == [100 * score for score in score_set(scorer, answered).items]
    if len(bare) > 1:
        assert any(row["score"] for row in rows)


@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("has_items", [False, True])
def test_prompts_are_the_published_ones(benchmarks, task, has_items):
    benchmark = open_benchmark(task)
    for row, question in zip(documents_of(task), benchmark.questions, strict=True):
        asked = prompt(row, {"has_items": has_items, "default": {}})
        assert asked == prompt_of(benchmark.name, question, has_items=has_items) and question.question in asked


def test_a_picture_that_is_missing_or_damaged_makes_the_answer_wrong(benchmarks):
    task = "comem_viquae"
    first, second, third = documents_of(task)
    questions = open_benchmark(task).questions
    questions[0].picture.rename(questions[0].picture.with_suffix(".away"))
    content = questions[1].picture.read_bytes()
    questions[1].picture.write_bytes(b"no picture")
    try:
        assert [len(pictures_of(row)) for row in (first, second, third)] == [0, 0, 1]
        rows = [scores(row, [right_answer(q)]) for row, q in zip((first, second, third), questions, strict=True)]
        assert [row["official"]["score"] for row in rows] == [0, 0, 100]
    finally:
        questions[0].picture.with_suffix(".away").rename(questions[0].picture)
        questions[1].picture.write_bytes(content)


def test_a_part_of_oven_has_no_number_and_ends_nothing(benchmarks):
    rows = [scores(row, ["x"])["official"] for row in documents_of("comem_oven")]
    seen = [row for row in rows if row["group"].endswith("_seen")]
    assert seen and math.isnan(official(seen))
    assert official(rows) == 0


def test_missing_files_are_named_with_the_way_out(benchmarks, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setenv(FOLDER, str(tmp_path))
        with pytest.raises(ValueError, match=f"comem_oven needs the files of 'oven', .* set {FOLDER} to a folder"):
            documents_of("comem_oven")
    vocabulary = benchmarks / "oven" / VOCABULARY
    away = vocabulary.rename(vocabulary.with_suffix(".away"))
    try:
        with pytest.raises(ValueError, match="needs the vocabulary of bert-base-uncased, but .*vocab.txt' is missing"):
            documents_of("comem_oven")
    finally:
        away.rename(vocabulary)


@pytest.mark.parametrize(
    "task, repository, folder",
    [
        ("comem_aokvqa", "HuggingFaceM4/A-OKVQA", "aokvqa/hf_m4"),
        ("comem_mrag_bench", "uclanlp/MRAG-Bench", "mrag"),
        ("comem_cvqa_zh", "afaji/cvqa", "cvqa"),
    ],
)
def test_without_a_folder_the_files_come_from_the_hub(benchmarks, monkeypatch, task, repository, folder):
    asked = []

    def snapshot_download(name: str, *, repo_type: str, allow_patterns: str) -> str:
        asked.append((name, repo_type))
        assert [path for path in (benchmarks / folder).rglob("*") if path.match(allow_patterns)]
        return str(benchmarks / folder)

    monkeypatch.delenv(FOLDER)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert len(documents_of(task)) and set(asked) == {(repository, "dataset")}
