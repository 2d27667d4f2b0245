import pytest

from comem_hf.evaluation.benchmarks import PictureInTable, load_benchmark
from tests.evaluation.benchmark_formats import FORMATS, change_json, copied


def answers_of(question) -> list[str]:
    return [each["answer"] if isinstance(each, dict) else each for each in question.reference["answers"]]


def test_the_form_of_vqa_and_the_parquet_files_give_the_same_questions():
    (own,) = load_benchmark("okvqa", FORMATS / "okvqa")
    (hub,) = load_benchmark("okvqa", FORMATS / "okvqa/hf_lmms_lab")
    assert [question.id for question in own.questions] == ["9000015", "9000025", "9000035", "9000036"]
    for one, other in zip(own.questions, hub.questions, strict=True):
        assert (one.id, one.question, one.kind) == (other.id, other.question, other.kind)
        assert answers_of(one) == answers_of(other) and len(answers_of(one)) == 10
        assert isinstance(other.picture, PictureInTable)
    assert own.questions[0].picture.read_bytes() == hub.questions[0].picture.read()
    assert own.questions[0].reference["answers"][0]["answer_id"] == 1
    assert own.questions[0].reference["question_type"] == "four"
    assert len(load_benchmark("okvqa", FORMATS / "okvqa/hf_lmms_lab", limit=3)[0].questions) == 3
    assert [path.name for path in hub.files] == ["val2014-00000-of-00002.parquet", "val2014-00001-of-00002.parquet"]


def test_without_annotations_the_questions_can_be_read(tmp_path):
    folder = copied("okvqa", tmp_path)
    (folder / "mscoco_val2014_annotations.json").unlink()
    (benchmark,) = load_benchmark("okvqa", folder)
    assert [question.reference for question in benchmark.questions] == [None] * 4
    assert benchmark.notes == (
        "There is no mscoco_val2014_annotations.json: the questions can be answered, but not scored.",
    )


def test_a_missing_picture_is_none_and_the_question_stays(tmp_path):
    folder = copied("okvqa", tmp_path)
    (folder / "val2014/COCO_val2014_000000900003.jpg").unlink()
    (benchmark,) = load_benchmark("okvqa", folder)
    assert [question.picture is None for question in benchmark.questions] == [False, False, True, True]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("questions", lambda content: content.pop("questions"), "must be a JSON object with a list `questions`"),
        (
            "questions",
            lambda content: content["questions"][1].pop("image_id"),
            "entry of `questions` 2: `image_id` is m",
        ),
        (
            "questions",
            lambda content: content["questions"][1].update(question_id=9000015),
            "entry of `questions` 2: `question_id` '9000015' is that of entry of `questions` 1 already",
        ),
        (
            "questions",
            lambda content: content["questions"].insert(0, "What?"),
            "entry of `questions` 1 must be a JSON",
        ),
        (
            "annotations",
            lambda content: content["annotations"].pop(1),
            "no annotation of `question_id` 9000025 of .* 2",
        ),
        (
            "annotations",
            lambda content: content["annotations"][0].update(answers=["chess"]),
            "entry of `annotations` 1: `answers` must be a list of objects",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_entry(tmp_path, file, change, message):
    folder = copied("okvqa", tmp_path)
    name = {"questions": "OpenEnded_mscoco_val2014_questions.json", "annotations": "mscoco_val2014_annotations.json"}
    change_json(folder / name[file], change)
    with pytest.raises(ValueError, match=message) as raised:
        load_benchmark("okvqa", folder)
    assert name[file] in str(raised.value)


def test_a_file_that_was_cut_off_is_refused_with_its_line(tmp_path):
    folder = copied("okvqa", tmp_path)
    path = folder / "mscoco_val2014_annotations.json"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="mscoco_val2014_annotations.json', line 1 is no valid JSON .*cut off"):
        load_benchmark("okvqa", folder)
