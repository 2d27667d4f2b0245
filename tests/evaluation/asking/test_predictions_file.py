import pytest

from comem_hf.evaluation.asking.prediction import Prediction
from comem_hf.evaluation.asking.predictions_file import PredictionsFile


IDS = ["a", "b", "c"]
ANSWERS = {name: Prediction(name, f"Ответ: {name}\n\\boxed{{河}}", ("1", "2"), 7) for name in IDS}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictions" / "okvqa.en.memory-3.jsonl"


def written(path, *parts: str) -> PredictionsFile:
    for process, names in enumerate(parts):
        PredictionsFile(path, IDS, process).append(ANSWERS[name] for name in names)
    return PredictionsFile(path, IDS)


def test_parts_of_processes_become_one_file_in_the_order_of_the_questions(path):
    file = written(path, "c", "ba")
    assert file.finish() == tuple(ANSWERS.values())
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert PredictionsFile(path, IDS).found == ANSWERS


def test_a_line_that_was_not_written_to_its_end_is_written_again(path):
    file = written(path, "ab")
    file.part.write_bytes(file.part.read_bytes()[:-5])
    again = PredictionsFile(path, IDS)
    assert again.found.keys() == {"a"}
    again.append([ANSWERS["b"], ANSWERS["c"]])
    assert PredictionsFile(path, IDS).finish() == tuple(ANSWERS.values())


def test_what_is_there_is_not_written_twice(path):
    file = written(path, "ab")
    file.append(ANSWERS.values())
    assert len(file.part.read_text(encoding="utf-8").splitlines()) == 3


def test_a_process_that_ended_while_parts_became_one_file_does_no_harm(path):
    file = written(path, "abc")
    left = file.part.read_bytes()
    file.finish()
    file.part.write_bytes(left)
    assert PredictionsFile(path, IDS).finish() == tuple(ANSWERS.values())


def test_the_same_question_answered_in_two_ways_is_refused_with_both_places(path):
    written(path, "a")
    with pytest.raises(ValueError, match=r"Line 1 of .*part1.* answers 'a' a second time, first in line 1 of .*part0"):
        file = PredictionsFile(path, IDS, 1)
        file.found = {}
        file.append([Prediction("a", "other", (), 1)])
        PredictionsFile(path, IDS)


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', '{"id": "a", "items": [], "odd": 1}', "\x00"])
def test_a_line_that_is_no_prediction_is_named(path, line):
    file = written(path, "a")
    with open(file.part, "a", encoding="utf-8") as opened:
        opened.write(line + "\n")
    with pytest.raises(ValueError, match="Line 2 of .*part0.jsonl' is no prediction"):
        PredictionsFile(path, IDS)


def test_a_file_of_other_questions_is_refused(path):
    written(path, "abc").finish()
    with pytest.raises(ValueError, match="Line 3 of .* answers 'c', which is no question of this run"):
        PredictionsFile(path, ["a", "b"])


def test_a_run_with_unanswered_questions_is_not_finished(path):
    with pytest.raises(ValueError, match="lacks 1 of 3 answers, first 'b'"):
        written(path, "ac").finish()
