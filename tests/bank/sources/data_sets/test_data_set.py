"""Items from files, folders and data sets."""

import base64
import datetime
import operator

import datasets
import fsspec
import pytest

from comem_hf.bank.sources import UnreadableItem, read_dataset
from tests.conftest import make_image
from tests.picture_forms import encode


@pytest.mark.parametrize("streaming", [False, True])
def test_a_dataset_is_read_by_columns_that_are_guessed(streaming, tmp_path):
    make_image(1).save(tmp_path / "1.png")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.Value("string"),
            "id": datasets.Value("int64"),
            "kind": datasets.ClassLabel(names=["flag", "map"]),
            "area": datasets.Value("float64"),
            "seen": datasets.Value("timestamp[s]"),
            "tags": [datasets.Value("string")],
            "raw": datasets.Value("binary"),
            "thumb": datasets.Image(),
        }
    )
    rows = {
        "image": [make_image(0), str(tmp_path / "1.png"), None],
        "caption": ["Zero.", None, "Two."],
        "id": [10, 11, 12],
        "kind": [1, 0, None],
        "area": [1.5, float("nan"), None],
        "seen": [datetime.datetime(2024, 5, 6)] * 3,
        "tags": [["a"], [], None],
        "raw": [b"x"] * 3,
        "thumb": [make_image(0)] * 3,
    }
    dataset = datasets.Dataset.from_dict(rows, features=features)
    source = read_dataset(dataset.to_iterable_dataset() if streaming else dataset)
    items = list(source)
    assert [item.id for item in items] == ["10", "11", "12"]
    assert [item.text for item in items] == ["Zero.", None, "Two."]
    assert items[0].load_image().tobytes() == make_image(0).tobytes()
    assert items[1].load_image().tobytes() == make_image(1).tobytes()
    assert items[2].image is None
    assert items[0].metadata == {"kind": "map", "area": 1.5, "seen": "2024-05-06T00:00:00", "tags": ["a"]}
    assert items[1].metadata["area"] is None
    assert operator.length_hint(source) == (0 if streaming else 3)


def test_images_that_a_stream_gives_as_addresses_are_fetched(tmp_path):
    make_image(3).save(tmp_path / "3.png")
    with fsspec.open("memory://flags/3.png", "wb") as file:
        file.write((tmp_path / "3.png").read_bytes())
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    rows = {"image": ["memory://flags/3.png", "memory://flags/gone.png"], "text": ["Three.", "Gone."]}
    items = list(read_dataset(datasets.Dataset.from_dict(rows, features=features).to_iterable_dataset()))
    assert items[0].load_image().tobytes() == make_image(3).tobytes()
    assert items[1].reason.startswith("row 1 of the data set: cannot read its image")


@pytest.mark.parametrize("repository", [None, "ann/flags"])
def test_a_column_of_base64_strings_is_a_column_of_pictures(repository):
    text = base64.b64encode(encode(make_image(1))).decode()
    dataset = datasets.Dataset.from_dict({"image": [text, f"data:image/png;base64,{text}"], "text": ["a", "b"]})
    for item in read_dataset(dataset, repository=repository):
        assert item.load_image().tobytes() == make_image(1).tobytes()


def test_columns_of_a_dataset_may_be_named_and_unknown_ones_are_refused():
    dataset = datasets.Dataset.from_dict({"name": ["A", "B"], "text": ["x", "y"], "key": ["k1", "k2"]})
    items = list(read_dataset(dataset, text="name", id="key"))
    assert [(item.text, item.id, item.metadata) for item in items] == [
        ("A", "k1", {"text": "x"}),
        ("B", "k2", {"text": "y"}),
    ]
    with pytest.raises(ValueError, match="no column 'caption'; its columns are name, text, key"):
        read_dataset(dataset, text="caption")
    with pytest.raises(ValueError, match=r"looks like an image or a text \(name, key\); name them"):
        read_dataset(dataset.remove_columns("text"))
    with pytest.raises(ValueError, match="that is one split, got DatasetDict"):
        read_dataset(datasets.DatasetDict({"train": dataset}))


def test_a_dataset_whose_columns_are_not_known_beforehand_is_read_too():
    dataset = datasets.IterableDataset.from_generator(lambda: iter([{"text": "One."}, {"text": "Two."}]))
    assert dataset.features is None
    assert [item.text for item in read_dataset(dataset)] == ["One.", "Two."]


def test_bytes_in_any_column_are_left_out():
    rows = {"text": ["a"], "raw": [b"\xff"], "deep": [{"raw": b"\xff", "n": [{"raw": b"\xff", "m": 1}]}]}
    [item] = read_dataset(datasets.Dataset.from_dict(rows))
    assert item.metadata == {"deep": {"n": [{"m": 1}]}}


@pytest.mark.parametrize("name", ["title", "prompt", "TEXT", "description"])
def test_texts_are_found_under_the_names_that_others_use(name, tmp_path):
    (tmp_path / "a.png").touch()
    dataset = datasets.Dataset.from_dict({"image": ["a.png", "a.png"], name: ["One.", None], "label": ["x", "y"]})
    assert [(item.text, item.metadata["label"]) for item in read_dataset(dataset, images=tmp_path)] == [
        ("One.", "x"),
        (None, "y"),
    ]


def test_a_row_that_cannot_be_read_does_not_end_the_data_set():
    def fail_at_two(batch):
        if 2 in batch["n"]:
            raise KeyError("broken transform")
        return batch

    dataset = datasets.Dataset.from_dict({"text": list("abcd"), "n": [1, 2, 3, 4]}).with_transform(fail_at_two)
    items = list(read_dataset(dataset))
    assert [item.text for item in items if not isinstance(item, UnreadableItem)] == ["a", "c", "d"]
    assert items[1].reason == "row 1 of the data set: it cannot be read: KeyError: 'broken transform'."
