import csv

import pytest

from comem_hf.evaluation.benchmarks import load_benchmark
from tests.evaluation.benchmark_formats import FORMATS, copied


@pytest.mark.parametrize("place", ["mrag", "mrag/data", "mrag/release"])
def test_parquet_and_csv_give_the_same_questions_and_pictures(place):
    (benchmark,) = load_benchmark("mrag", FORMATS / place)
    assert [question.id for question in benchmark.questions] == ["0", "1", "2", "3"]
    assert [question.kind for question in benchmark.questions] == ["Angle", "Incomplete", "Others", "Biological"]
    second = benchmark.questions[1]
    assert second.options == ("Marrow Hall", "Ern Castle", "Halden Mill", "Lune Court")
    assert second.reference == {"answer_choice": "A", "answer": "Marrow Hall", "scenario": "Incomplete"}
    assert [len(question.picture.read()) for question in reversed(benchmark.questions)] == [925, 880, 1144, 983]
    assert all(question.picture.read().startswith(b"\xff\xd8") for question in benchmark.questions)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b",B,grey gull,", b",E,grey gull,", "questions.csv', line 2: `answer_choice` must be one of"),
        (b"\n1,Transf", b"\n0,Transf", "questions.csv', line 3: `id` '0' is that of line 2 already"),
        (b"id,aspect", b"nr,aspect", "has no column `id`; it has \\['nr'"),
        (b",Angle,", b",Angle,x,", "line 2 has 12 cells, the header 11"),
        (b"What animal", b"\xff", "line 2 is not UTF-8"),
    ],
)
def test_what_is_wrong_with_the_csv_file_is_said_with_its_line(tmp_path, old, new, message):
    folder = copied("mrag", tmp_path) / "release"
    path = folder / "questions.csv"
    assert path.read_bytes().count(old) == 1
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(ValueError, match=message):
        load_benchmark("mrag", folder)


def test_a_csv_file_that_was_cut_off_is_refused(tmp_path):
    path = copied("mrag", tmp_path) / "release/questions.csv"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match="line 5 is no valid CSV .*cut off"):
        load_benchmark("mrag", path.parent)


def test_a_large_picture_in_any_column_of_a_csv_file_is_read(tmp_path):
    content = bytes(range(256)) * 600
    with (tmp_path / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["image", "id", "scenario", "question", *"ABCD", "answer_choice", "answer"])
        writer.writeheader()
        row = {
            "scenario": "Angle",
            "question": "What?",
            **dict.fromkeys("ABCD", "x"),
            "answer_choice": "A",
            "answer": "x",
        }
        for number in range(2):
            writer.writerow({**row, "id": number, "image": {"bytes": bytes([number]) + content, "path": None}})
    limit = csv.field_size_limit()
    (benchmark,) = load_benchmark("mrag", tmp_path)
    assert [question.picture.read() for question in benchmark.questions] == [b"\0" + content, b"\1" + content]
    assert csv.field_size_limit() == limit


def test_a_csv_row_without_a_picture_is_a_question_without_one_and_a_damaged_picture_names_its_line(tmp_path):
    path = tmp_path / "questions.csv"
    head = "id,scenario,question,A,B,C,D,answer_choice,answer,image\n"
    row = "{},Angle,What?,a,b,c,d,A,a,{}\n"
    path.write_text(head + row.format(0, "\"{'bytes': None, 'path': None}\"") + row.format(1, "\"{'bytes': b'abc\""))
    (benchmark,) = load_benchmark("mrag", tmp_path)
    assert benchmark.questions[0].picture is None
    with pytest.raises(ValueError, match="questions.csv', line 3: `image` is no picture"):
        benchmark.questions[1].picture.read()
