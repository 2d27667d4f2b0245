import pytest

from comem_hf.evaluation.benchmarks import load_benchmark
from tests.evaluation.benchmark_formats import FORMATS, change_json, copied


def test_the_own_form_and_the_parquet_file_give_the_same_questions():
    (own,) = load_benchmark("aokvqa", FORMATS / "aokvqa")
    (hub,) = load_benchmark("aokvqa", FORMATS / "aokvqa/hf_m4")
    assert len(own.questions) == 3
    for one, other in zip(own.questions, hub.questions, strict=True):
        assert (one.id, one.question, one.options) == (other.id, other.question, other.options)
        assert one.reference == other.reference  # there the answers are text that Python writes for a list
        assert one.picture.read_bytes() == other.picture.read()
    assert own.questions[2].reference == {
        "choices": ["the cook's", "guard", "driver", "pilot"],
        "correct_choice_idx": 1,
        "direct_answers": ["guard"] * 7 + ["guard's"] * 3,
        "difficult_direct_answer": False,
    }


def test_the_test_split_has_no_references_and_its_missing_picture_is_none():
    (benchmark,) = load_benchmark("aokvqa", FORMATS / "aokvqa", split="test")
    (question,) = benchmark.questions
    assert (question.reference, question.picture, question.options) == (None, None, ("a", "b", "c", "d"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("direct_answers"), "`direct_answers` is missing"),
        (
            lambda row: row.update(direct_answers="['a' 'b']"),
            "`direct_answers` must be a list of strings, or the text",
        ),
        (lambda row: row.update(direct_answers="boat"), "`direct_answers` must be a list of strings, or the text"),
        (
            lambda row: row.update(correct_choice_idx=4),
            "`correct_choice_idx` must be a whole number from 0 to 3, got 4",
        ),
        (lambda row: row.update(correct_choice_idx=True), "`correct_choice_idx` must be a whole number"),
        (lambda row: row.update(difficult_direct_answer="no"), "`difficult_direct_answer` must be true or false"),
        (lambda row: row.update(choices=[]), "`choices` must be a list of strings"),
        (lambda row: row.update(question_id="22aBcDeFgHiJkLmNoPqRsT"), "is that of entry 1 already"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_entry(tmp_path, change, message):
    folder = copied("aokvqa", tmp_path)
    change_json(folder / "aokvqa_v1p0_val.json", lambda content: change(content[1]))
    with pytest.raises(ValueError, match=message) as raised:
        load_benchmark("aokvqa", folder)
    assert "aokvqa_v1p0_val.json', entry 2" in str(raised.value)
