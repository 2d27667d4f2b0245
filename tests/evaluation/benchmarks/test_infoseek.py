import shutil

import pytest

from comem_hf.evaluation.benchmarks import load_benchmark
from tests.evaluation.benchmark_formats import FORMATS, change_line, copied


def test_questions_have_their_parts_types_answers_and_pictures():
    (benchmark,) = load_benchmark("infoseek", FORMATS / "infoseek")
    assert (benchmark.name, benchmark.language, len(benchmark.questions)) == ("infoseek", "en", 6)
    first, second = benchmark.questions[:2]
    assert (first.id, first.question) == ("infoseek_val_00000000", "Which river does this bridge cross?")
    assert first.picture == FORMATS / "infoseek/oven_images/04/oven_04925731.jpg"
    assert first.reference == {"answer_eval": ["Lune", "Lune River", "River Lune"], "question_type": "String"}
    assert second.reference["answer_eval"] == [{"wikidata": 420.0, "range": [378.0, 462.0]}]
    assert [question.kind for question in benchmark.questions[:3]] == ["String", "Numerical", "Time"]
    assert [question.split for question in benchmark.questions[:3]] == [
        *("val_unseen_question", "val_unseen_question", "val_unseen_entity"),
    ]
    assert all(question.picture.is_file() for question in benchmark.questions)
    assert [path.name for path in benchmark.files] == ["infoseek_val.jsonl", "infoseek_val_qtype.jsonl"]


def test_without_the_file_of_types_they_are_told_from_the_answers(tmp_path):
    folder = copied("infoseek", tmp_path)
    expected = [question.kind for question in load_benchmark("infoseek", folder)[0].questions]
    (folder / "infoseek_val_qtype.jsonl").unlink()
    change_line(folder / "infoseek_val.jsonl", 2, lambda row: row.update(answer_eval=row["answer_eval"][0]))
    (benchmark,) = load_benchmark("infoseek", folder)
    assert [question.reference["question_type"] for question in benchmark.questions] == expected
    assert benchmark.questions[1].reference["answer_eval"] == [{"wikidata": 420.0, "range": [378.0, 462.0]}]
    assert [path.name for path in benchmark.files] == ["infoseek_val.jsonl"]
    assert benchmark.notes == ("There is no infoseek_val_qtype.jsonl: question types are told from the answers.",)


@pytest.mark.parametrize(
    ("limit", "numbers"),
    [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4, 5])],
)
def test_a_limit_is_shared_by_both_halves_in_the_order_of_the_file(limit, numbers):
    (benchmark,) = load_benchmark("infoseek", FORMATS / "infoseek", limit=limit)
    assert [question.id for question in benchmark.questions] == [f"infoseek_val_0000000{each}" for each in numbers]


def test_a_half_that_stands_behind_the_other_is_reached_and_no_further_line_is_read(tmp_path):
    folder = copied("infoseek", tmp_path)
    path = folder / "infoseek_val.jsonl"
    lines = sorted(path.read_text().splitlines(), key=lambda line: "unseen_entity" in line)  # three of each
    path.write_text("\n".join([*lines[:4], "no JSON", ""]))
    (benchmark,) = load_benchmark("infoseek", folder, limit=2)
    assert [question.split for question in benchmark.questions] == ["val_unseen_question", "val_unseen_entity"]


def test_the_halves_of_each_language_share_its_limit():
    found = load_benchmark("infoseek_multilingual", FORMATS / "infoseek_multilingual", limit=2)
    splits = [[question.split for question in benchmark.questions] for benchmark in found]
    both = ["val_unseen_question", "val_unseen_entity"]
    assert splits == [both, both, both, ["val_unseen_question"], both]  # the Portuguese file has one half


@pytest.mark.parametrize(
    ("answers", "kind"),
    [(["1931", "987"], "Time"), (["1931", "about 1931"], "String"), (["12"], "String"), (["20500"], "String")],
)
def test_answers_that_are_all_years_tell_a_question_about_time(tmp_path, answers, kind):
    folder = copied("infoseek", tmp_path)
    (folder / "infoseek_val_qtype.jsonl").unlink()
    change_line(folder / "infoseek_val.jsonl", 1, lambda row: row.update(answer_eval=answers))
    assert load_benchmark("infoseek", folder)[0].questions[0].kind == kind


def test_a_split_without_answers_can_be_read_and_one_with_answers_too():
    (test,) = load_benchmark("infoseek", FORMATS / "infoseek", split="test")
    assert [(question.reference, question.split) for question in test.questions] == [(None, "test_unseen_entity")]
    (train,) = load_benchmark("infoseek", FORMATS / "infoseek", split="train")
    assert train.questions[0].reference == {"answer_eval": ["Mount Orle", "Orle"], "question_type": "String"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("question"), "`question` is missing"),
        (lambda row: row.update(question=" "), "`question` must be a string that is not empty, got ' '"),
        (lambda row: row.update(data_split="val"), "`data_split` must be one of"),
        (lambda row: row.update(image_id=["oven"]), "`image_id` must be a string"),
        (lambda row: row.update(answer_eval=[]), "`answer_eval` must be a list"),
        (lambda row: row.update(answer_eval=[{"wikidata": 4, "range": "4"}]), "`answer_eval` must be a list"),
        (lambda row: row.update(data_id="infoseek_val_00000001"), "is that of line 2 already"),
        (
            lambda row: row.update(data_id="infoseek_val_99999999"),
            "has no question type for `data_id` 'infoseek_val_9",
        ),
    ],
)
def test_what_is_wrong_with_a_line_is_said_with_file_and_line(tmp_path, change, message):
    folder = copied("infoseek", tmp_path)
    change_line(folder / "infoseek_val.jsonl", 3, change)
    with pytest.raises(ValueError) as raised:
        load_benchmark("infoseek", folder)
    assert message in str(raised.value)
    assert f"{str(folder / 'infoseek_val.jsonl')!r}, line 3" in str(raised.value)


def test_an_unknown_question_type_is_refused(tmp_path):
    folder = copied("infoseek", tmp_path)
    change_line(folder / "infoseek_val_qtype.jsonl", 2, lambda row: row.update(question_type="Number"))
    with pytest.raises(
        ValueError, match="infoseek_val_qtype.jsonl', line 2: `question_type` must be one of .*'Number'"
    ):
        load_benchmark("infoseek", folder)


def test_the_languages_come_in_the_order_asked_for_with_infoseeks_pictures_and_types():
    found = load_benchmark("infoseek_multilingual", FORMATS / "infoseek_multilingual")
    assert [benchmark.language for benchmark in found] == ["zh", "ru", "es", "pt", "bg"]
    assert [len(benchmark.questions) for benchmark in found] == [3, 3, 3, 2, 3]
    chosen = load_benchmark("infoseek_multilingual", FORMATS / "infoseek_multilingual", languages=["pt", "zh"])
    assert [benchmark.language for benchmark in chosen] == ["pt", "zh"]
    question = chosen[0].questions[0]
    assert (question.question, question.language, question.kind) == ("Qual rio esta ponte atravessa?", "pt", "String")
    assert question.picture.resolve() == (FORMATS / "infoseek/oven_images/04/oven_04925731.jpg").resolve()
    assert question.reference["answer_eval"] == ["Rio Lune", "Lune"]


def test_a_language_without_a_file_is_left_out_unless_it_was_asked_for(tmp_path):
    folder = copied("infoseek_multilingual", tmp_path)
    (folder / "infoseek_val_russian.jsonl").unlink()
    found = load_benchmark("infoseek_multilingual", folder)
    assert [benchmark.language for benchmark in found] == ["zh", "es", "pt", "bg"]
    assert all(question.picture is None for benchmark in found for question in benchmark.questions)
    with pytest.raises(ValueError, match="no infoseek_val_russian.jsonl, which holds the language 'ru'"):
        load_benchmark("infoseek_multilingual", folder, languages=["ru"])
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(ValueError, match="no infoseek_val_LANGUAGE.jsonl"):
        load_benchmark("infoseek_multilingual", folder)
