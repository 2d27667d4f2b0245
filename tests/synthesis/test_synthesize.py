import json
import shutil
from pathlib import Path

import pytest

from comem_hf.cards.check import check_card
from comem_hf.evaluation import load_questions
from comem_hf.evaluation.asking.ask import Interview
from comem_hf.evaluation.benchmarks import load_benchmark
from comem_hf.files.whole_file import file_entry
from comem_hf.training import MemoryDataset
from tests.conftest import make_image


BENCHMARKS = Path(__file__).parents[1] / "golden" / "benchmarks" / "formats"


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def sources(write_questions, make, rows_of, tmp_path):
    """Questions of which the model answers some right and some wrong, one without a picture, and dialogues."""
    make_image(20, (84, 84)).save(tmp_path / "other.png")
    rows = [{"item_id": f"item-{n}", "question": f"What is {n}?", "kind": "number"} for n in range(8)]
    rows += [{"image": "other.png", "question": "What else?", "entity": "other"}]
    first = [{"name": "own", "questions": str(write_questions(rows, "first.jsonl")), "side": "train"}]
    make("first", sources=first)
    said = {row["id"]: row["answer"] for row in rows_of("first")}
    assert len(said) == 9 and len(set(said.values())) > 3  # the model does look at something
    for number, row in enumerate(rows[:6], start=1):
        row["answer"] = said[f"own/{number}"] if number % 3 else "something else"
    rows.append({"image": "missing.png", "question": "Where?", "id": "lost"})
    path = write_questions(rows)
    return [
        {"name": "own", "questions": str(path)},
        {"name": "study", "dialogues": 2, "candidates": 5, "count": 3},
    ]


def test_rows_are_made_counted_and_the_same_after_an_interruption(sources, make, rows_of, tmp_path, monkeypatch):
    settings = {"sources": sources, "held_out": 0.4, "max_missing": 0.1, "shuffle_items": True}
    record = make(**settings)
    train, held_out = rows_of("made"), rows_of("made", "held_out")
    counts = record["counts"]["own"]
    assert counts["read"] == counts["drawn"] == 10 and counts["without_picture"] == 1 and counts["answered"] == 9
    assert counts["train_questions"] + counts["held_out_questions"] == 9
    assert counts["train"] == counts["train_questions"] - counts["wrong"] and counts["wrong"] >= 1
    assert counts["held_out"] == counts["held_out_questions"]  # whether or not the teacher was right
    assert sum(row["source"] == "own" for row in train) == counts["train"]
    assert record["counts"]["study"]["train"] == 3 == sum(row["source"] == "study" for row in train)
    assert {row["origin"] for row in train + held_out} == {"verified", "teacher", "dialogue"}
    assert "something else" not in {row["answer"] for row in train}

    entities = [{row["entity"] for row in rows} for rows in (train, held_out)]
    assert entities[1] and not entities[0] & entities[1]
    assert not entities[1] & {item["id"] for row in train for item in row["memories"]}
    assert {len(row["memories"]) for row in train if row["source"] == "own"} == {2}
    assert all(
        [item["id"] for item in row["memories"]] == [row["entity"]] for row in train if row["source"] == "study"
    )

    for name, entry in record["files"].items():
        assert entry["sha256"] == file_entry(tmp_path / "made" / name)["sha256"]
    card = (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    check_card(card, "the card")
    assert record["files"]["train.jsonl"]["sha256"] in card and f"| answered by the teacher | 9 | {10} |" in card
    assert str(tmp_path) not in card + json.dumps(record)
    whole = contents(tmp_path / "made")

    class StopError(Exception):
        pass

    answer, batches = Interview.answer, []

    def interrupted(self, *arguments):
        batches.append(arguments)
        if len(batches) == 4:
            raise StopError
        return answer(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Interview, "answer", interrupted)
        with pytest.raises(StopError):
            make("parts", **settings)
    assert not (tmp_path / "parts" / "train.jsonl").exists()
    make("parts", **settings)
    assert contents(tmp_path / "parts") == whole

    # What the answers do not depend on may change: nothing is asked again, pictures that no row has are removed.
    monkeypatch.setattr(Interview, "answer", None)
    make("parts", **{**settings, "sources": [sources[0], {**sources[1], "count": 1}], "shuffle_items": False})
    fewer = contents(tmp_path / "parts")
    assert len(rows_of("parts")) == len(train) - 2 and set(fewer) <= set(whole)
    with pytest.raises(ValueError, match="holds predictions of another run: `(seed|questions)` was"):
        make("parts", **{**settings, "seed": 1})

    shutil.move(tmp_path / "made", tmp_path / "moved")
    assert len(MemoryDataset.from_file(tmp_path / "moved" / "train.jsonl")) == len(train)
    known = [row for row in held_out if "item_id" in row]
    (tmp_path / "known.jsonl").write_text("".join(json.dumps(row) + "\n" for row in known))
    assert [question.item_id for question in load_questions(tmp_path / "known.jsonl")] == [r["item_id"] for r in known]


def test_too_many_missing_or_damaged_pictures_and_an_overlap_are_refused(write_questions, make, tmp_path):
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    make_image(3).save(tmp_path / "there.png")
    rows = [{"image": "there.png", "question": f"What is {n}?"} for n in range(8)]
    message = r"'own', 1 of 9 .* missing or damaged.* first own/x \(questions.jsonl, line 9, {}.png\).*raise `max_mi"
    for name in ("missing", "damaged"):
        path = write_questions([*rows, {"image": f"{name}.png", "question": "What?", "id": "x"}])
        with pytest.raises(ValueError, match=message.format(name)):
            make(name, sources=[{"name": "own", "questions": path}])
    assert not (tmp_path / "missing").exists()  # nothing was asked
    known = write_questions([{"item_id": "item-1", "question": "What?"}], "known.jsonl")
    wrong = write_questions([{"item_id": "item-1", "question": "What?", "answer": "something else"}], "wrong.jsonl")
    with pytest.raises(
        ValueError, match="of 1 questions to train on that were answered, 1 were answered wrong.*dictio"
    ):
        make("wrong", sources=[{"name": "own", "questions": wrong, "side": "train"}])
    same = write_questions([{"image": "there.png", "question": "And?", "entity": "item-1"}], "same.jsonl")
    both = [
        {"name": "a", "questions": known, "side": "train"},
        {"name": "b", "questions": same, "side": "held_out"},
    ]
    with pytest.raises(ValueError, match="The entity 'item-1' is on both sides of the split: in source 'a' to train"):
        make("overlap", sources=both)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").touch()
    for folder, message in (("taken", "holds other files; choose a new folder"), ("there.png", "must be a folder or")):
        with pytest.raises(ValueError, match=message):
            make(folder, sources=both)


def test_a_benchmark_is_held_out_in_its_prompt_and_rows_are_translated_once(write_questions, make, rows_of, tmp_path):
    own = write_questions([{"item_id": f"item-{n}", "question": f"What is {n}?"} for n in range(4)])
    texts = []

    def translate(given, language):
        texts.extend((text, language) for text in given)
        return [f"{language}: {text}" for text in given]

    sources = [
        {"name": "own", "questions": own, "side": "train"},
        {"name": "okvqa", "benchmark": "okvqa", "data": BENCHMARKS / "okvqa", "split": "val", "side": "held_out"},
    ]
    sources[1] |= {"prompt": "published", "candidates": 2}
    settings = {"sources": sources, "languages": ["es", "ru"], "per_language": 3, "max_missing": 0.5}
    record = make(translate=translate, **settings)
    held_out = rows_of("made", "held_out")
    assert held_out and all("\\boxed{your short answer here}" in row["question"] for row in held_out)
    benchmark = load_benchmark("okvqa", BENCHMARKS / "okvqa")[0]
    answers = {
        f"okvqa/{each.id}": [answer["answer"] for answer in each.reference["answers"]] for each in benchmark.questions
    }
    for row in held_out:  # the most frequent answer, though the teacher gave another
        assert row["answer"] == max(answers[row["id"]], key=answers[row["id"]].count)

    train = rows_of("made")
    assert [row["language"] for row in train] == ["en"] * 4 + ["es"] * 3 + ["ru"] * 3
    by_id = {row["id"]: row for row in train}
    for row in train[4:]:
        source = by_id[row["id"].removesuffix(f"@{row['language']}")]
        assert row["question"] == f"{row['language']}: {source['question']}" and row["entity"] == source["entity"]
        assert row["answer"] == f"{row['language']}: {source['answer']}" and row["memories"] == source["memories"]
    assert record["counts"]["own"]["translated"] == 6 and record["languages"] == ["en", "es", "ru"]
    assert len(texts) == 12
    make(translate=translate, **settings)
    assert len(texts) == 12

    for wrong, message in (
        (lambda given, language: given[:1], "must return 4 texts"),
        (lambda *_: [""] * 4, "gave ''"),
    ):
        with pytest.raises(ValueError, match=message):
            make("wrong", translate=wrong, **settings)
    with pytest.raises(ValueError, match="`languages` need a `translator`"):
        make("none", **settings)
