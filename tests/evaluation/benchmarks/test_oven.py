import pytest

from comem_hf.evaluation.benchmarks import load_benchmark
from tests.evaluation.benchmark_formats import FORMATS, change_line, copied


def test_both_sets_are_read_with_entities_pictures_of_any_ending_and_titles():
    (benchmark,) = load_benchmark("oven", FORMATS / "oven")
    assert [question.split for question in benchmark.questions] == [
        *("entity_val_unseen", "entity_val_seen", "entity_val_seen"),
        *("query_val_seen", "query_val_unseen", "query_val_unseen"),
    ]
    assert benchmark.questions[0].reference == {"entity_id": "Q990003", "entity_text": "Ashen tern"}
    assert [question.picture.suffix for question in benchmark.questions] == [".JPEG", *[".jpg"] * 5]
    assert [question.kind for question in benchmark.questions] == ["entity"] * 3 + ["query"] * 3
    assert benchmark.titles == FORMATS / "oven/Wiki6M_ver_1_0_title_only.jsonl"


@pytest.mark.parametrize(
    ("split", "limit", "ids"),
    [
        ("val_3k", None, ["entity_val_00000000", "entity_val_00000001", *(f"query_val_0000000{n}" for n in range(3))]),
        ("val", 3, ["entity_val_00000000", "entity_val_00000001", "query_val_00000000"]),
        ("val", 1, ["entity_val_00000000"]),
        ("val", 4, [f"{name}_val_0000000{n}" for name in ("entity", "query") for n in range(2)]),
        ("query_val", 3, [f"query_val_0000000{n}" for n in range(3)]),
        ("query_val", 2, ["query_val_00000000", "query_val_00000001"]),
        ("entity_train", None, ["entity_train_00000000"]),
    ],
)
def test_a_split_is_one_set_or_two_and_a_limit_is_shared_by_them(split, limit, ids):
    (benchmark,) = load_benchmark("oven", FORMATS / "oven", split=split, limit=limit)
    assert [question.id for question in benchmark.questions] == [f"oven_{name}" for name in ids]


def test_the_other_file_of_titles_is_taken_if_it_is_the_only_one(tmp_path):
    folder = copied("oven", tmp_path)
    (folder / "Wiki6M_ver_1_0_title_only.jsonl").unlink()
    assert load_benchmark("oven", folder)[0].titles == folder / "wikipedia_6m.jsonl"
    (folder / "wikipedia_6m.jsonl").unlink()
    assert load_benchmark("oven", folder)[0].titles is None


def test_a_missing_set_is_refused_with_the_name_of_the_split_that_has_the_other(tmp_path):
    folder = copied("oven", tmp_path)
    (folder / "oven_query_val.jsonl").unlink()
    with pytest.raises(
        ValueError, match="no oven_query_val.jsonl; to read the other set alone, pass `split='entity_val'`"
    ):
        load_benchmark("oven", folder)
    assert len(load_benchmark("oven", folder, split="entity_val")[0].questions) == 3


def test_a_test_split_without_entities_has_no_references(tmp_path):
    folder = copied("oven", tmp_path)
    for part in ("entity", "query"):
        path = (folder / f"oven_{part}_val.jsonl").rename(folder / f"oven_{part}_test.jsonl")
        for number in (1, 2, 3):
            change_line(path, number, lambda row: (row.pop("entity_id"), row.pop("entity_text")))
    (benchmark,) = load_benchmark("oven", folder, split="test")
    assert {question.reference for question in benchmark.questions} == {None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("entity_id"), "`entity_id` is missing"),
        (lambda row: row.update(data_split="entity_val"), "`data_split` must be `entity_val_seen` or another part"),
        (lambda row: row.update(data_id="oven_entity_val_00000001"), "oven_entity_val.jsonl', line 2 already"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_with_file_and_line(tmp_path, change, message):
    folder = copied("oven", tmp_path)
    change_line(folder / "oven_query_val.jsonl", 2, change)
    with pytest.raises(ValueError) as raised:
        load_benchmark("oven", folder)
    assert message in str(raised.value)
    assert "oven_query_val.jsonl', line 2" in str(raised.value)


def test_a_limit_takes_seen_and_unseen_entities_of_each_set_where_one_stands_behind_the_other(tmp_path):
    folder = copied("oven", tmp_path)
    change_line(folder / "oven_query_val.jsonl", 2, lambda row: row.update(data_split="query_val_seen"))
    (benchmark,) = load_benchmark("oven", folder, limit=4)
    assert [question.id for question in benchmark.questions[2:]] == [
        "oven_query_val_00000000",
        "oven_query_val_00000002",
    ]
    assert {question.split for question in benchmark.questions} == {
        *("entity_val_seen", "entity_val_unseen", "query_val_seen", "query_val_unseen"),
    }


def test_a_limit_of_a_split_without_halves_takes_the_first_questions(tmp_path):
    folder = copied("oven", tmp_path)
    path = folder / "oven_entity_train.jsonl"
    path.write_text("".join(path.read_text().replace("00000000", f"0000000{number}") for number in range(5)))
    (benchmark,) = load_benchmark("oven", folder, split="entity_train", limit=4)
    assert [question.id[-1] for question in benchmark.questions] == ["0", "1", "2", "3"]
