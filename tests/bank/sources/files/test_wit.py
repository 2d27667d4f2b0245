"""Items of the files of WIT."""

import csv

import datasets
import pytest

from comem_hf.bank.sources import (
    UnreadableItem,
    read_dataset,
    read_wit,
)
from tests.bank.sources.conftest import WIT, WIT_COLUMNS, write_wit
from tests.conftest import make_image


TEXTS = ["Athens: The capital.", 'Sparta: Another\tcity, "with" quotes\nand lines.', "Thebes", "No title."]


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
