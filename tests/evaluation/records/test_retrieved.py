import base64
import io
import json

import pytest

from comem_hf.evaluation.benchmarks import load_benchmark
from comem_hf.evaluation.records import load_records
from comem_hf.evaluation.records.mds import MdsFolder
from tests.conftest import make_image
from tests.evaluation.benchmark_formats import FORMATS
from tests.evaluation.records.mds_writer import write_mds


RELEASE = FORMATS / "comem_release"


def write(folder, ids, info, column="id") -> None:
    samples = [{column: name.encode(), "retrieval_info": json.dumps(info).encode()} for name in ids]
    write_mds(folder, {column: "str", "retrieval_info": "json"}, [samples])


def picture() -> str:
    buffer = io.BytesIO()
    make_image(1).save(buffer, format="JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    ("name", "key", "count"),
    [
        *(("infoseek", "data_id", 4), ("oven", "data_id", 6), ("okvqa", "question_id", 3)),
        *(("viquae", "id", 3), ("mrag", "id", 3), ("cvqa", "ID", 3)),
    ],
)
def test_records_are_found_by_the_ids_of_their_benchmark(name, key, count):
    records = load_records(RELEASE / f"{name}_record_base")
    questions = [question for benchmark in load_benchmark(name, FORMATS / name) for question in benchmark.questions]
    assert (records.key, len(records), len(list(records))) == (key, count, count)
    assert sum(question.id in records for question in questions) == count
    for items in records.values():
        assert all(min(item.load_image().size) > 0 for item in items)


def test_items_keep_the_stored_order_and_texts():
    records = load_records(str(RELEASE / "infoseek_record_base"))
    items = records["infoseek_val_00000000"]
    assert len(items) == 10
    assert [item.id for item in items][:2] == ["infoseek_val_00000000/0", "infoseek_val_00000000/1"]
    texts = [item.text for item in items]
    assert texts[:3] == ["Halden Bridge: The bridge crosses the Lune.", "Marrow Hall: nan", "Ashen tern: "]
    assert any(items_.text == "" for each in records.values() for items_ in each)
    with pytest.raises(KeyError):
        records["infoseek_val_99999999"]


def test_nothing_but_the_ids_is_read_before_a_record_is_asked_for(monkeypatch):
    read = []
    monkeypatch.setattr(MdsFolder, "sample", lambda self, *place: read.append(place) or {"retrieval_info": []})
    records = load_records(RELEASE / "okvqa_record_base")
    assert "9000015" in records and len(records) == 3 and read == []
    assert records["9000025"] == [] and read == [(0, 1, ["retrieval_info"])]


def test_a_text_that_is_null_becomes_empty_and_a_missing_picture_none(tmp_path):
    info = [{"passage_content": None, "image": picture()}, {"passage_content": "x", "image": None}]
    write(tmp_path, ["1"], info)
    first, second = load_records(tmp_path)["1"]
    assert first.text == "" and first.load_image().size == (56, 56)
    assert second.text == "x" and second.image is None


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({}, "sample 0: `retrieval_info` must be a list, got dict"),
        ([{"image": ""}], "sample 0, item 0 must have `passage_content` and `image`"),
        ([{"passage_content": "x", "image": "?"}], "sample 0, item 0: `image` must be base64"),
        ([{"passage_content": "x", "image": 7}], "sample 0, item 0: `image` must be base64"),
        ([{"passage_content": 7, "image": ""}], "sample 0, item 0: `text` must be a string"),
        ([{"passage_content": None, "image": ""}], "sample 0, item 0: A memory item needs an image, a text or both"),
    ],
)
def test_a_record_that_is_wrong_is_named_when_it_is_read(tmp_path, info, message):
    write(tmp_path, ["1"], info)
    with pytest.raises(ValueError, match=message):
        load_records(tmp_path)["1"]


def test_an_id_that_comes_twice_and_a_column_that_is_missing_are_refused(tmp_path):
    write(tmp_path / "twice", ["1", "2", "1"], [])
    with pytest.raises(ValueError, match="sample 2: `id` '1' is that of .*sample 0 already"):
        load_records(tmp_path / "twice")
    with pytest.raises(ValueError, match="must have the columns `retrieval_info` and `data_id`, but has \\['id', "):
        load_records(tmp_path / "twice", key="data_id")
    write(tmp_path / "other", ["1"], [], column="name")
    with pytest.raises(
        ValueError, match="must have the columns .* `data_id` or `question_id` or `id` or `ID`, but has"
    ):
        load_records(tmp_path / "other")
    assert list(load_records(tmp_path / "other", key="name")) == ["1"]
