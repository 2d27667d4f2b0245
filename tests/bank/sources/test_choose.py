"""Which source a name or an object means."""

import gzip
import json
import logging
import tarfile
from operator import length_hint

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comem_hf import MemoryItem
from comem_hf.bank.sources import UnreadableItem, open_source, read_image_folder, read_wit
from comem_hf.files.option_names import options_as_words
from tests.bank.sources.conftest import write_wit
from tests.conftest import make_image


ROWS = [
    {"nr": "007", "bild": "b.png", "titel": "Stuhl, rot", "preis": 12.5, "farbe": "rot"},
    {"nr": "8", "bild": "sub/c.webp", "titel": "Tisch", "preis": 1299.0, "farbe": None},
]
COLUMNS = {"image_column": "bild", "text_column": "titel", "id_column": "nr"}


def write(path):
    """The rows in the format that the name of a file says."""
    frame = pd.DataFrame(ROWS)
    if ".csv" in path.name:
        text = "nr;bild;titel;preis;farbe\n007;b.png;Stuhl, rot;12,50;rot\n8;sub/c.webp;Tisch;1.299,00;\n"
    elif ".tsv" in path.name:
        text = frame.to_csv(sep="\t", index=False)
    elif ".jsonl" in path.name:
        text = "".join(json.dumps(row) + "\n" for row in ROWS)
    elif ".json" in path.name:
        text = json.dumps(ROWS, indent=1)
    elif path.suffix == ".parquet":
        return pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif path.name == "saved":
        return datasets.Dataset.from_list(ROWS).save_to_disk(path)
    elif path.name == "splits":
        return datasets.DatasetDict({"dev": datasets.Dataset.from_list(ROWS)}).save_to_disk(path)
    elif path.name == "shards":
        path.mkdir()
        for number, row in enumerate(ROWS):
            pq.write_table(pa.Table.from_pylist([row], pa.table(frame).schema), path / f"{number}.parquet")
        return None
    (gzip.open if path.suffix == ".gz" else open)(path, "wb").write(text.encode("utf-8-sig"))


def objects():
    dataset, frame = datasets.Dataset.from_list(ROWS), pd.DataFrame(ROWS)
    return [frame, pa.table(frame), dataset, dataset.to_iterable_dataset(), datasets.DatasetDict({"train": dataset})]


FILES = "a.csv a.csv.gz a.tsv a.jsonl a.jsonl.gz a.json a.json.gz a.parquet saved splits shards".split()


def test_every_source_gives_the_same_items_of_the_same_rows(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("tables")
    for name in FILES:
        write(place / name)
    sources = [*(place / name for name in FILES), f"file://{place}/a.csv", *objects()]
    for source in sources:
        items = open_source(source, images=folder, **COLUMNS)
        first, second = items
        assert (first.id, first.text, first.image) == ("007", "Stuhl, rot", folder / "b.png"), source
        assert first.metadata == {"preis": 12.5, "farbe": "rot"} and second.metadata == {"preis": 1299, "farbe": None}
        assert second.image == folder / "sub" / "c.webp" and [item.id for item in items] == ["007", "8"]
        assert length_hint(items) in (0, 2)
        with pytest.raises(ValueError, match=r"has no column 'Titl' \(did you mean 'titel'\?\); its columns are nr, "):
            list(open_source(source, images=folder, **{**COLUMNS, "text_column": "Titl"}))
    with (
        options_as_words(),
        pytest.raises(ValueError, match=r"\(nr, bild.*name them with `--image-column` and `--text-"),
    ):
        open_source(place / "a.csv")


def test_columns_can_be_named_for_folders_and_files_of_wit(folder):
    (folder / "metadata.csv").write_text("datei;titel;nr;text\nb.png;Eins;007;x\n", encoding="utf-16")
    (item, *_) = open_source(folder, image_column="datei", text_column="titel", id_column="nr")
    assert (item.image, item.text, item.id) == (folder / "b.png", "Eins", "007")
    assert item.metadata == {"file_name": "b.png", "text": "x"}
    path = write_wit(folder / "wit.tsv")
    items = open_source(path, text_column="page_title", id_column="page_title")
    assert [(item.id, item.text) for item in list(items)[:2]] == [("Athens", "Athens"), ("Sparta", "Sparta")]
    with pytest.raises(ValueError, match=r"wit.tsv' has no column 'pagetitle' \(did you mean 'page_title'\?\)"):
        open_source(path, text_column="pagetitle")


def test_a_source_is_chosen_by_what_it_is(folder, tmp_path, monkeypatch):
    (tmp_path / "items.jsonl").write_text('{"text": "One."}')
    assert [item.text for item in open_source(tmp_path / "items.jsonl")] == ["One."]
    assert sum(isinstance(item, MemoryItem) for item in open_source(str(folder))) == 3
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
    assert [item.text for item in open_source("hf://datasets/me/flags")] == ["A"]
    assert asked == [(("me/flags",), {"revision": "v2"}), "test", (("me/flags",), {"revision": None}), "train"]


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("me/flags", {}, "'me/flags' is no source of items: there is no such file or folder; give a .csv, .tsv, "),
        ("gone.jsonl", {}, "Cannot read 'gone.jsonl': No such file or directory"),
        ("gone.tsv", {}, "Cannot read 'gone.tsv': No such file or directory"),
        ("gone.xlsx", {}, "'gone.xlsx' is no source of items: it is a spreadsheet: save it as CSV"),
        ("gone.tsv", {"images": "nowhere"}, "`images=` must be a folder, got 'nowhere'"),
        ("gone.jsonl", {"encoding": "cp1252"}, "`encoding=` is not for 'gone.jsonl': leave it out"),
        ("gone.parquet", {"split": "test"}, "`split=` is not for 'gone.parquet'"),
        ("gone.tar", {"images": "."}, "`images=` is not for tar files"),
        ("gone.tar", {"image_column": "jpg"}, "`image_column=` is not for tar files"),
        ("hf://datasets/me/flags", {"urls": True}, "`urls=` is not for data sets on the Hub"),
        (
            "https://shop.example/a.csv",
            {},
            "'https://shop.example/a.csv' is an address on the web, which is no source",
        ),
        ("s3://shop/a.csv", {}, "'s3://shop/a.csv' is an address on the web"),
        ("data:text/csv,a", {}, "'data:text/csv,a' is a data URL, which is no source of items"),
        ("file://other/a.csv", {}, "is a file of another machine, 'file://other/a.csv': copy it, and give its path"),
        (5, {}, "An object of type int is no source of items"),
        ([{"text": "x"}], {}, "`MemoryBank.build` takes a list of items as it is"),
        (pd.DataFrame({"text": ["x"]}), {"split": "test"}, "`split=` is not for data frames"),
        (pd.DataFrame({5: ["x"]}), {}, "names of the columns of a data frame must be strings, got 5"),
        (
            datasets.Dataset.from_dict({"text": ["x"]}),
            {"split": "test"},
            "`split=` is for a data set that has several",
        ),
        (datasets.DatasetDict(), {"split": "dev"}, "The data set has the splits ; got `split='dev'`"),
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
    with pytest.raises(ValueError, match="Cannot read .*Not a gzipped file"):
        read_wit(tmp_path / "x.tsv.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no metadata.csv, metadata.jsonl or metadata.parquet and no image is in it"):
        read_image_folder(tmp_path / "empty")
    with pytest.raises(ValueError, match="there is no such folder"):
        read_image_folder(tmp_path / "gone")
    (tmp_path / "x.parquet").write_text("no table")
    with pytest.raises(ValueError, match="Cannot read '.*x.parquet': Parquet magic bytes"):
        open_source(tmp_path / "x.parquet")


def test_a_folder_with_two_formats_says_which_is_read_or_asks(folder, tmp_path_factory, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("comem_hf"), "propagate", True)
    place = tmp_path_factory.mktemp("mixed")
    make_image(0).save(place / "a.png")
    (place / "products.csv").write_text("image,text\na.png,A\n")
    found = list(open_source(place))
    assert isinstance(found[0], MemoryItem) and "products.csv': it is not read: of tables, a folder" in found[1].reason
    assert (
        "products.csv' lies among pictures and is not read: to make items of its rows, give that file" in caplog.text
    )
    datasets.Dataset.from_list(ROWS).save_to_disk(place)
    with pytest.raises(ValueError, match="is one of `save_to_disk`, but it holds 'a.png', too"):
        open_source(place)
    shards = tmp_path_factory.mktemp("shards")
    for name in ("0.tar", "1.tar"):
        with tarfile.open(shards / name, "w") as archive:
            archive.add(folder / "b.png", f"{name[0]}.png")
    (shards / "0.parquet").touch()  # img2dataset's list of what is in 0.tar
    assert [item.id for item in open_source(shards)] == ["0", "1"]
    (shards / "products.csv").touch()
    with pytest.raises(ValueError, match="holds 0.tar and products.csv, two kinds of files"):
        open_source(shards)
    (shards / "products.csv").unlink()
    (shards / "2.parquet").touch()
    with pytest.raises(ValueError, match="holds 0.tar and 2.parquet, two kinds of files: give one of them"):
        open_source(shards)


def test_rows_whose_ids_are_equal_or_whose_pictures_are_gone_are_left_out_with_their_lines(build, tmp_path):
    make_image(0).save(tmp_path / "a.png")
    lines = ["id;image;text", "1;a.png;A", "1;a.png;B", "1;a.png;A", "2;gone.png;C", "3;data:text/plain,x;D"]
    (tmp_path / "a.csv").write_text("\n".join([*lines, "4;https://shop.example/a.png;E"]))
    items = list(open_source(tmp_path / "a.csv"))
    reasons = [item.reason.rpartition("a.csv', ")[2] for item in items if isinstance(item, UnreadableItem)]
    assert [reason.partition(",")[0] for reason in reasons] == [
        f"line 5: `image` names '{tmp_path}/gone.png'",
        "line 6: `image` is a data URL of 'text/plain'",
        "line 7: `image` is an address on the web",
    ]
    assert build(items, output_dir=tmp_path / "bank").ids == ["1"]
