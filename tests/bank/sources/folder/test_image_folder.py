"""Items of a folder of images."""

import json
import operator
import os
from decimal import Decimal

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comem_hf import MemoryItem
from comem_hf.bank.sources import Columns, UnreadableItem, read_image_folder
from tests.conftest import make_image


def read(folder) -> list[MemoryItem]:
    """The items, without the files that are left out."""
    return [item for item in read_image_folder(folder) if isinstance(item, MemoryItem)]


def left_out(folder) -> dict[str, tuple[str, bool]]:
    """Reason, and whether it is an error, by the name of the file that it begins with."""
    found = {}
    for item in read_image_folder(folder):
        if isinstance(item, UnreadableItem):
            path, _, reason = item.reason.partition("': ")
            found[os.path.relpath(path.removeprefix("'"), folder)] = (reason, item.is_error)
    return found


def save(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_image(number).save(folder / name)


def test_a_folder_gives_its_images_in_the_order_of_their_names_with_their_captions(folder):
    items = read(folder)
    assert [(item.metadata, item.text) for item in items] == [
        ({"file_name": "a.JPG"}, None),
        ({"file_name": "b.png"}, "Second."),
        ({"file_name": "sub/c.webp"}, "Third."),
    ]
    assert items[1].image == folder / "b.png"
    assert operator.length_hint(read_image_folder(folder)) == 3


def test_each_file_that_is_no_picture_is_named_and_is_no_error(folder):
    (folder / "alone.txt").write_text("There is no picture.")
    (folder / "drawing.eps").write_text("%!PS")
    os.mkfifo(folder / "pipe.png")
    os.symlink("gone.png", folder / "link.png")
    for hidden in (".x.png", ".git/y.png", "__MACOSX/._b.png"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_bytes(b"")
    assert left_out(folder) == {
        "link.png": ("it is a link to a file that does not exist.", True),
        "pipe.png": ("it is no regular file.", True),
        "alone.txt": ("it is not read: there is no picture of this name beside it.", False),
        "drawing.eps": (
            "it is not read: files of format EPS are not read: Pillow draws PostScript with another program.",
            False,
        ),
        "notes.md": ("it is not read: '.md' is not the ending of a picture format that is read.", False),
    }
    assert len(read(folder)) == 3


@pytest.mark.parametrize("suffix", [".avif", ".jp2", ".ico", ".ppm", ".tga", ".mpo"])
def test_every_format_that_pillow_decodes_by_itself_is_read(suffix, tmp_path):
    make_image(1).save(tmp_path / f"a{suffix}", format="JPEG" if suffix == ".mpo" else None)
    assert [item.image.name for item in read(tmp_path)] == [f"a{suffix}"]


ROWS = [
    {"file_name": "sub/c.webp", "text": "A flag.", "id": "007", "price": 10, "fresh": True, "zip": "01234"},
    {"file_name": "b.png", "text": "1984", "id": "2", "price": None, "fresh": False, "zip": "99999"},
]


def write_metadata(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_list(rows)
    if path.suffix == ".csv":
        table.to_csv(path)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_metadata_file_of_each_kind_gives_the_same_items(ending, folder):
    write_metadata(folder / f"metadata.{ending}", ROWS)
    items = read(folder)
    assert [(item.id, item.text) for item in items] == [("007", "A flag."), ("2", "1984")]
    assert items[0].metadata == {"file_name": "sub/c.webp", "price": 10, "fresh": True, "zip": "01234"}
    assert items[1].metadata["price"] is None and items[1].image == folder / "b.png"
    assert left_out(folder)["a.JPG"] == ("no line of a metadata file names it.", False)


@pytest.mark.parametrize("name", ["Metadata.csv", "metadata.CSV", "METADATA.JSONL", "metadata.Parquet"])
def test_the_name_of_a_metadata_file_may_be_in_capitals(name, tmp_path):
    save(tmp_path, "a.png")
    write_metadata(tmp_path / name.lower(), [{"file_name": "a.png", "text": "A.", "price": 3}])
    (tmp_path / name.lower()).rename(tmp_path / name)
    [item] = read_image_folder(tmp_path)
    assert (item.text, item.metadata) == ("A.", {"file_name": "a.png", "price": 3})


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_metadata_file_in_a_subfolder_names_the_files_beside_it(ending, tmp_path):
    save(tmp_path, "train/x.png", "train/deep/y.png", "test/x.png", "z.png")
    write_metadata(tmp_path / "train" / f"metadata.{ending}", [{"file_name": "x.png", "caption": "One."}])
    write_metadata(tmp_path / "test" / f"metadata.{ending}", [{"file_name": "x.png", "description": "Two."}])
    (tmp_path / "z.txt").write_text("Three.")
    assert {item.metadata["file_name"]: item.text for item in read(tmp_path)} == {
        "test/x.png": "Two.",
        "train/x.png": "One.",
        "z.png": "Three.",
    }
    assert left_out(tmp_path) == {"train/deep/y.png": ("no line of a metadata file names it.", False)}


def test_bytes_and_decimals_of_a_parquet_file_cost_no_row(build, tmp_path):
    save(tmp_path, "a.png")
    columns = {"file_name": ["a.png"], "raw": [b"\xff"], "price": [Decimal("3.50")], "deep": [{"raw": b"x", "n": 1}]}
    pq.write_table(pa.table(columns), tmp_path / "metadata.parquet")
    [item] = read(tmp_path)
    assert item.metadata == {"file_name": "a.png", "price": 3.5, "deep": {"n": 1}}
    assert len(build(read_image_folder(tmp_path), output_dir=tmp_path / "bank", on_error="raise")) == 1


def test_lines_of_a_metadata_file_lead_to_no_file_outside_the_folder(folder):
    lines = [
        {"file_name": "sub/c.webp", "text": "A flag.", "id": "c", "language": "en"},
        {"file_name": "b.png", "caption": "Another.", "text": None, "title": "Both."},
        {"file_name": "../outside.png", "text": "..."},
        {"file_name": "/etc/passwd", "text": "..."},
        {"text": "No file.", "image": "b.png"},
        {"file_name": "b\0.png"},
        {"file_name": "gone.png"},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    items = list(read_image_folder(folder))
    assert (items[0].id, items[0].text) == ("c", "A flag.")
    assert items[0].metadata == {"file_name": "sub/c.webp", "language": "en"}
    assert (items[1].text, items[1].id) == ("Another.", None)
    assert items[1].metadata == {"file_name": "b.png", "title": "Both."}
    for item in items[2:6]:
        assert "`file_name` must be a path inside the folder, got" in item.reason and item.is_error
    assert "got only the fields text, image." in items[4].reason
    assert items[6].image == folder / "gone.png"  # the build says that it is missing


def test_bad_metadata_files_are_refused_before_anything_is_read(folder):
    (folder / "metadata.csv").write_text("image,caption\nb.png,One.\n")
    with pytest.raises(ValueError, match="metadata.csv' has no column `file_name`, .* columns are image, caption"):
        read_image_folder(folder)
    (folder / "metadata.csv").write_text("file_name;Titel\nb.png;One.\n")
    with pytest.raises(
        ValueError, match="metadata.csv' has no column 'titel' .did you mean 'Titel'.*; its columns are"
    ):
        read_image_folder(folder, Columns(text="titel"))
    assert [
        item.text for item in read_image_folder(folder, Columns(text="Titel")) if isinstance(item, MemoryItem)
    ] == ["One."]
    (folder / "metadata.jsonl").write_text("{}")
    with pytest.raises(ValueError, match="holds metadata.csv and metadata.jsonl; keep the one that describes"):
        read_image_folder(folder)
    for name in ("metadata.csv", "metadata.jsonl"):
        (folder / name).unlink()
    (folder / "metadata.parquet").write_text("no table")
    with pytest.raises(ValueError, match="Cannot read '.*metadata.parquet'"):
        read_image_folder(folder)


def test_a_row_without_a_text_has_the_one_beside_its_picture(folder):
    write_metadata(folder / "metadata.csv", [{"file_name": "b.png", "price": 3}])
    [item] = read(folder)
    assert (item.text, item.metadata) == ("Second.", {"file_name": "b.png", "price": 3})


def test_a_download_in_the_cache_of_the_hub_is_read_though_its_files_are_links(tmp_path):
    repository = tmp_path / "hub" / "datasets--ann--pics"
    blobs, commit = repository / "blobs", repository / "snapshots" / "0123abcd"
    for path in (blobs, commit / "train"):
        path.mkdir(parents=True)
    make_image(0).save(blobs / "1111", format="PNG")
    (blobs / "2222").write_text("file_name,text\nx.png,One.\ny.png,Two.\n")
    (tmp_path / "private.png").write_bytes((blobs / "1111").read_bytes())
    os.symlink("../../../blobs/1111", commit / "train" / "x.png")
    os.symlink("../../../blobs/2222", commit / "train" / "metadata.csv")
    os.symlink(tmp_path / "private.png", commit / "train" / "y.png")
    for folder in (commit, commit / "train"):
        first, second = read_image_folder(folder)
        assert (first.text, first.image.name) == ("One.", "x.png")
        assert first.load_image().tobytes() == make_image(0).tobytes()
        assert second.reason.endswith("line 3: `file_name` must be a path inside the folder, got 'y.png'.")


def test_a_link_named_like_the_blobs_of_a_cache_opens_no_other_folder(tmp_path):
    commit = tmp_path / "datasets--eve--pics" / "snapshots" / "0123abcd"
    commit.mkdir(parents=True)
    (tmp_path / "private").mkdir()
    make_image(0).save(tmp_path / "private" / "x.png")
    os.symlink(tmp_path / "private", tmp_path / "datasets--eve--pics" / "blobs")
    os.symlink("../../blobs/x.png", commit / "x.png")
    (commit / "metadata.csv").write_text("file_name,text\nx.png,One.\n")
    [item, *_] = read_image_folder(commit)
    assert "`file_name` must be a path inside the folder" in item.reason


def test_class_folders_are_labels_by_the_rule_of_datasets(tmp_path):
    save(tmp_path, "train/cat/a.png", "train/dog/b.png", "test/cat/c.png")
    ours = {item.metadata["file_name"]: item.metadata.get("label") for item in read(tmp_path)}
    assert ours == {"train/cat/a.png": "cat", "train/dog/b.png": "dog", "test/cat/c.png": "cat"}
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path), cache_dir=str(tmp_path / ".cache"))
    names = loaded["train"].features["label"].names
    assert sorted(names[label] for split in loaded.values() for label in split["label"]) == sorted(ours.values())
    save(tmp_path, "top.png")
    assert not any("label" in item.metadata for item in read(tmp_path))


def test_captions_of_img2dataset_and_of_windows_are_read(tmp_path):
    save(tmp_path, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    (tmp_path / "1.json").write_text(
        json.dumps({"caption": "One.", "url": "https://x.example", "width": float("nan")})
    )
    (tmp_path / "2.TXT").write_bytes("\ufeffTwo: é.\r\n".encode())
    (tmp_path / "3.json").write_text(json.dumps({"shapes": [], "version": "5"}))
    (tmp_path / "4.txt").write_bytes(b"\xff")
    items = {item.metadata["file_name"]: item for item in read(tmp_path)}
    assert {name: item.text for name, item in items.items()} == {"1.jpg": "One.", "2.jpg": "Two: é.", "3.jpg": None}
    assert items["1.jpg"].metadata == {"file_name": "1.jpg", "url": "https://x.example", "width": None}
    found = left_out(tmp_path)
    assert found["3.json"][0].startswith("it is not read: it has no text under text, caption, description")
    assert found["4.jpg"][0].startswith("cannot read its caption '4.txt': 'utf-8' codec") and found["4.jpg"][1]


def test_a_name_that_is_not_utf_8_is_spelled_out(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    make_image(0).save(path)
    [item] = read(tmp_path)
    assert item.metadata == {"file_name": "caf%E9.png"} and os.fspath(item.image) == path


def test_a_bank_that_is_built_inside_the_folder_is_not_looked_at(build, folder):
    before = list(read_image_folder(folder))
    during = []

    def watched():
        for item in read_image_folder(folder):
            during.append(item)
            yield item

    build(watched(), output_dir=folder / "bank")
    assert during == before == list(read_image_folder(folder))


def test_a_text_beside_a_picture_that_is_not_read_is_listed_with_the_true_reason(tmp_path):
    save(tmp_path, "a.png", "b.png", "c.png", "d.png")
    for name in ("a.txt", "a.json", "c.txt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "b.json").write_text("{")
    write_metadata(tmp_path / "metadata.jsonl", [{"file_name": "a.png", "text": "A."}, {"file_name": "b.png"}])
    items = list(read_image_folder(tmp_path))
    assert sum("b.json" in item.reason for item in items if isinstance(item, UnreadableItem)) == 1
    found = {name: reason for name, (reason, _) in left_out(tmp_path).items()}
    for name in ("a.txt", "a.json"):
        assert found[name] == "it is not read: the metadata file has its text."
    assert found["c.txt"] == "it is not read: no line of a metadata file names its picture."
    assert found["c.png"] == found["d.png"] == "no line of a metadata file names it."


def test_a_broken_text_beside_a_picture_is_listed_once(tmp_path):
    save(tmp_path, "b.png")
    (tmp_path / "b.json").write_text("{")
    [item] = read_image_folder(tmp_path)
    assert item.reason.startswith(f"'{tmp_path}/b.png': cannot read its caption 'b.json': ")


def test_a_picture_that_the_metadata_of_a_subfolder_names_is_one_item(tmp_path):
    save(tmp_path, "a.png", "sub/b.png")
    write_metadata(tmp_path / "sub" / "metadata.jsonl", [{"file_name": "../a.png", "text": "A."}])
    assert [(item.text, item.metadata["file_name"]) for item in read(tmp_path)] == [("A.", "a.png")]
    assert [item.text for item in read(tmp_path / "sub" / "..")] == ["A."]


def test_the_id_of_a_json_beside_a_picture_is_the_id_of_the_item(tmp_path):
    save(tmp_path, "a.jpg", "a.png", "b.png")
    (tmp_path / "a.json").write_text('{"caption": "A.", "id": 7}')
    (tmp_path / "b.json").write_text('{"caption": "B.", "id": "x"}')
    assert [(item.id, item.metadata) for item in read(tmp_path)] == [
        ("7", {"file_name": "a.jpg"}),
        (None, {"file_name": "a.png", "id": 7}),
        ("x", {"file_name": "b.png"}),
    ]
    write_metadata(tmp_path / "metadata.jsonl", [{"file_name": "a.png"}, {"file_name": "b.png", "id": "mine"}])
    assert [item.id for item in read(tmp_path)] == ["7", "mine"]


def test_ids_of_a_metadata_file_stay_as_they_are_written(tmp_path):
    for name in ("a", "b"):
        make_image(ord(name)).save(tmp_path / f"{name}.png")
    (tmp_path / "metadata.csv").write_text("file_name,id\na.png,1.1\nb.png,1.10\n")
    assert [item.id for item in read_image_folder(tmp_path)] == ["1.1", "1.10"]
