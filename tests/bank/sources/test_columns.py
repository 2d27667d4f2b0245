"""Items from files, folders and data sets."""

import csv
import datetime
import gzip
import json
import operator

import datasets
import fsspec
import pytest

from comem_hf.bank.sources import (
    UnreadableItem,
    open_source,
    read_dataset,
    read_image_folder,
    read_jsonl,
    read_wit,
)
from tests.conftest import make_image


@pytest.fixture
def folder(tmp_path):
    """Three pictures, one of them in a subfolder, two of them with a caption; a file that is none."""
    (tmp_path / "sub").mkdir()
    for number, name in enumerate(("b.png", "a.JPG", "sub/c.webp")):
        make_image(number).save(tmp_path / name)
    (tmp_path / "b.txt").write_text("Second.\n")
    (tmp_path / "sub" / "c.txt").write_text("Third.")
    (tmp_path / "notes.md").write_text("...")
    return tmp_path


def test_jsonl_lines_become_items_and_bad_lines_say_where_they_are(tmp_path):
    lines = ['\ufeff{"text": "One.", "id": "1", "n": 1}', "", "{", '{"image": "x.png"}', '{"id": "3"}', '{"text": 4}']
    (tmp_path / "items.jsonl").write_bytes("\n".join(lines).encode() + b'\n{"text": "\xff"}')
    source = read_jsonl(tmp_path / "items.jsonl")
    items = list(source)
    assert (items[0].text, items[0].id, items[0].metadata) == ("One.", "1", {"n": 1})
    assert items[2].image == tmp_path / "x.png"
    bad = [items[number] for number in (1, 3, 4, 5)]
    assert all(isinstance(item, UnreadableItem) for item in bad)
    assert [item.reason.partition("items.jsonl', ")[2].partition(":")[0] for item in bad] == [
        f"line {number}" for number in (3, 5, 6, 7)
    ]
    assert bad[1].id == "3"
    assert list(source)[0].text == "One." and operator.length_hint(source) > 0


def test_a_folder_gives_its_images_in_the_order_of_their_names_with_their_captions(folder):
    items = list(read_image_folder(folder))
    assert [(item.metadata["file_name"], item.text) for item in items] == [
        ("a.JPG", None),
        ("b.png", "Second."),
        ("sub/c.webp", "Third."),
    ]
    assert items[1].image == folder / "b.png"
    assert operator.length_hint(read_image_folder(folder)) == 3


def test_a_metadata_file_decides_which_images_are_items(folder):
    lines = [
        {"file_name": "sub/c.webp", "text": "A flag.", "id": "c", "language": "en"},
        {"file_name": "b.png", "caption": "Another.", "text": None},
        {"file_name": "../outside.png", "text": "..."},
        {"file_name": "/etc/passwd", "text": "..."},
        {"text": "No file."},
        {"file_name": "b\0.png"},
        {"file_name": "gone.png"},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    items = list(read_image_folder(folder))
    assert (items[0].id, items[0].text) == ("c", "A flag.")
    assert items[0].metadata == {"file_name": "sub/c.webp", "language": "en"}
    assert (items[1].text, items[1].id) == ("Another.", None)
    for item in items[2:6]:
        assert "`file_name` must be a path inside the folder, got" in item.reason
    assert items[6].image == folder / "gone.png"  # the build says that it is missing


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


def test_columns_of_a_dataset_may_be_named_and_unknown_ones_are_refused():
    dataset = datasets.Dataset.from_dict({"title": ["A", "B"], "text": ["x", "y"], "key": ["k1", "k2"]})
    items = list(read_dataset(dataset, text="title", id="key"))
    assert [(item.text, item.id, item.metadata) for item in items] == [
        ("A", "k1", {"text": "x"}),
        ("B", "k2", {"text": "y"}),
    ]
    with pytest.raises(ValueError, match="no column 'caption'; its columns are title, text, key"):
        read_dataset(dataset, text="caption")
    with pytest.raises(ValueError, match=r"looks like an image or a text \(title, key\); name them"):
        read_dataset(dataset.remove_columns("text"))
    with pytest.raises(ValueError, match="that is one split, got DatasetDict"):
        read_dataset(datasets.DatasetDict({"train": dataset}))


def test_a_dataset_whose_columns_are_not_known_beforehand_is_read_too():
    dataset = datasets.IterableDataset.from_generator(lambda: iter([{"text": "One."}, {"text": "Two."}]))
    assert dataset.features is None
    assert [item.text for item in read_dataset(dataset)] == ["One.", "Two."]


WIT = [
    # title, section, page, url
    ("Athens", "The capital.", "A city.", "https://upload.example/a/Athens_%28Greece%29.jpg"),
    ("Sparta", "", 'Another\tcity, "with" quotes\nand lines.', "https://upload.example/b/Sparta.jpg"),
    ("Thebes", "nan", "", "https://upload.example/c/..%2FThebes.jpg"),
    ("", "No title.", "", ""),
    ("", "", "NaN", "https://upload.example/d/x.jpg"),
]
TEXTS = ["Athens: The capital.", 'Sparta: Another\tcity, "with" quotes\nand lines.', "Thebes", "No title."]
WIT_COLUMNS = ("page_title", "context_section_description", "context_page_description", "image_url")


def write_wit(path, rows=WIT):
    opened = gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="")
    with opened as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["language", *WIT_COLUMNS])
        writer.writerows([["en", *row] for row in rows])
    return path


@pytest.mark.parametrize("name", ["wit.tsv", "wit.tsv.gz"])
def test_wit_texts_fall_back_to_the_page_and_images_come_from_a_folder_only(name, tmp_path):
    (tmp_path / "pictures").mkdir()
    make_image(0).save(tmp_path / "pictures" / "Athens_(Greece).jpg")
    make_image(1).save(tmp_path / "Thebes.jpg")
    path = write_wit(tmp_path / name)
    items = list(read_wit(path, images=tmp_path / "pictures"))
    assert [item.text for item in items[:4]] == TEXTS
    assert [item.image for item in items[:4]] == [tmp_path / "pictures" / "Athens_(Greece).jpg", None, None, None]
    assert items[0].metadata == {"language": "en", "page_title": "Athens", "image_url": WIT[0][3]}
    assert "needs an image, a text or both" in items[4].reason
    assert all(item.image is None for item in list(read_wit(path))[:4])


def test_a_wit_file_name_that_no_system_takes_costs_an_image_and_not_the_row(tmp_path):
    (tmp_path / "pictures").mkdir()
    names = ("x" * 300 + ".jpg", "%00.jpg", "%F0%9F%98%80" * 100 + ".jpg", "/" * 3, "..")
    rows = [("Town", "", "", f"https://upload.example/a/{name}") for name in names]
    items = list(read_wit(write_wit(tmp_path / "wit.tsv", rows), images=tmp_path / "pictures"))
    assert [(item.text, item.image) for item in items] == [("Town", None)] * len(names)


def test_a_wit_image_path_stays_inside_the_folder_of_the_file(tmp_path):
    folder = tmp_path / "wit"
    folder.mkdir()
    inside = ["a.png", "sub/../a.png"]
    outside = ["../private.png", str(tmp_path / "private.png"), "sub/../../private.png", "../wit-private/a.png", ".."]
    with (folder / "wit.tsv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow([*WIT_COLUMNS, "image_path"])
        writer.writerows([["Town", "", "", "", name] for name in inside + outside])
    items = list(read_wit(folder / "wit.tsv"))
    assert [item.image for item in items[:2]] == [folder / name for name in inside]
    assert all("`image_path` must be a path inside the folder, got" in item.reason for item in items[2:])
    assert len(items) == 7


def test_a_wit_field_too_long_for_the_csv_module_does_not_end_the_file(tmp_path):
    rows = [("Long", "x" * 200_000, "", ""), ("Too long", "y" * 11_000_000, "", ""), ("Last", "z", "", "")]
    items = list(read_wit(write_wit(tmp_path / "wit.tsv", rows)))
    assert len(items[0].text) == 200_006
    assert isinstance(items[1], UnreadableItem) and "field larger than field limit" in items[1].reason
    assert items[-1].text == "Last: z"


def test_a_torn_wit_file_is_an_error_and_not_an_end(tmp_path):
    whole = write_wit(tmp_path / "wit.tsv.gz", WIT * 50).read_bytes()
    (tmp_path / "wit.tsv.gz").write_bytes(whole[:-20])
    with pytest.raises(ValueError, match=r"wit.tsv.gz', line \d+: the file is damaged: Compressed file ended"):
        list(read_wit(tmp_path / "wit.tsv.gz"))


def test_wit_columns_of_a_dataset_make_its_text():
    columns = dict(zip(WIT_COLUMNS, zip(*WIT[:4], strict=True), strict=True))
    assert [item.text for item in read_dataset(datasets.Dataset.from_dict(columns))] == TEXTS


def test_a_source_is_chosen_by_what_it_is(folder, tmp_path, monkeypatch):
    (tmp_path / "items.jsonl").write_text('{"text": "One."}')
    assert [item.text for item in open_source(tmp_path / "items.jsonl")] == ["One."]
    assert len(list(open_source(str(folder)))) == 3
    assert len(list(open_source(write_wit(tmp_path / "x.tsv.gz")))) == 5
    asked = []

    class Builder:
        config = datasets.BuilderConfig()

        def as_streaming_dataset(self, split):
            asked.append(split)
            return datasets.Dataset.from_dict({"title": ["A"]}).to_iterable_dataset()

    def load_dataset_builder(*arguments, **options):
        asked.append((arguments, options))
        return Builder()

    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    assert [item.text for item in open_source("hf://datasets/me/flags@v2", split="test", text_column="title")] == ["A"]
    assert asked == [(("me/flags",), {"revision": "v2"}), "test"]


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("me/flags", {}, "'me/flags' is no source of items: give a .jsonl file"),
        ("gone.jsonl", {}, "Cannot read items from 'gone.jsonl': No such file or directory"),
        ("gone.tsv", {}, "Cannot read items from 'gone.tsv': No such file or directory"),
        ("gone.jsonl", {"images": "."}, "`images` is for WIT files, not for 'gone.jsonl'"),
        ("gone.tsv", {"images": "nowhere"}, "`images` must be a folder, got 'nowhere'"),
        ("gone.jsonl", {"text_column": "x"}, "Split and columns can be chosen for hf://datasets/USER/NAME"),
    ],
)
def test_a_source_that_is_none_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        open_source(name, **options)


def test_files_and_folders_of_another_kind_are_refused(tmp_path):
    (tmp_path / "x.tsv").write_text("a\tpage_title\n")
    with pytest.raises(ValueError, match="no WIT file: it has no column 'context_section_description'"):
        read_wit(tmp_path / "x.tsv")
    (tmp_path / "x.tsv.gz").write_text("not compressed")
    with pytest.raises(ValueError, match="Cannot read items from .*Not a gzipped file"):
        read_wit(tmp_path / "x.tsv.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no metadata.jsonl and no image is in it"):
        read_image_folder(tmp_path / "empty")
    with pytest.raises(ValueError, match="there is no such folder"):
        read_image_folder(tmp_path / "gone")
