import unicodedata

import pytest
from datasets import Dataset

from comem_hf.evaluation.benchmarks import load_benchmark
from tests.evaluation.benchmark_formats import FORMATS, change_line, copied


@pytest.mark.parametrize("place", ["viquae", "viquae/parquet"])
def test_jsonl_and_parquet_give_the_same_questions_and_pictures(place):
    (benchmark,) = load_benchmark("viquae", FORMATS / place)
    assert [question.id[-1] for question in benchmark.questions] == ["1", "2", "3"]
    assert benchmark.questions[1].question == "where was this singer born?"
    assert benchmark.questions[1].reference == {"answer": ["Sønderby", "Sonderby"]}
    assert [question.picture.name for question in benchmark.questions] == [
        *("512px-Ada_Quill.png", "512px-Bo_Färn.jpg", "512px-Castle_Ern.jpg")
    ]


@pytest.mark.parametrize("split", ["validation", "val"])
def test_another_split_is_read_by_either_name(split):
    (benchmark,) = load_benchmark("viquae", FORMATS / "viquae", split=split)
    assert len(benchmark.questions) == 1 and benchmark.files[0].name == "validation.jsonl"


@pytest.mark.parametrize(("on_disk", "in_row"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_picture_is_found_whichever_way_its_accents_are_encoded(tmp_path, on_disk, in_row):
    folder = copied("viquae", tmp_path)
    (picture,) = (folder / "images").glob("512px-Bo_*")
    picture.rename(picture.with_name(unicodedata.normalize(on_disk, picture.name)))
    name = unicodedata.normalize(in_row, picture.name)
    change_line(folder / "test.jsonl", 2, lambda row: row.update(image=name))
    assert load_benchmark("viquae", folder)[0].questions[1].picture.is_file()


@pytest.mark.parametrize("place", ["viquae/images", "images", "viquae_images/images"])
def test_the_pictures_may_lie_in_the_folder_or_beside_it(tmp_path, place):
    folder = copied("viquae", tmp_path)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (folder / "images").rename(tmp_path / place)
    found = [question.picture for question in load_benchmark("viquae", folder)[0].questions]
    assert {picture.parent for picture in found} == {tmp_path / place}


def test_a_picture_is_never_taken_from_outside_the_folder(tmp_path):
    folder = copied("viquae", tmp_path)
    (tmp_path / "secret.png").write_bytes(b"x")
    for number, name in enumerate(("../../secret.png", str(tmp_path / "secret.png"), ""), start=1):
        change_line(folder / "test.jsonl", number, lambda row, name=name: row.update(image=name))
    assert [question.picture for question in load_benchmark("viquae", folder)[0].questions] == [None] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("output"), "line 2: `output` is missing"),
        (lambda row: row["output"].pop("answer"), "line 2, `output`: `answer` is missing"),
        (lambda row: row["output"].update(answer="Sonderby"), "line 2, `output`: `answer` must be a list of strings"),
        (lambda row: row.update(id="0" * 31 + "1"), "line 2: `id` '0+1' is that of line 1 already"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_with_file_and_line(tmp_path, change, message):
    folder = copied("viquae", tmp_path)
    change_line(folder / "test.jsonl", 2, change)
    with pytest.raises(ValueError, match=f"test.jsonl', {message}"):
        load_benchmark("viquae", folder)


def test_a_data_set_without_its_folder_of_pictures_is_refused():
    with pytest.raises(ValueError, match="holds no pictures, only their names: pass the folder"):
        load_benchmark("viquae", Dataset.from_list([{"id": "1"}]))
