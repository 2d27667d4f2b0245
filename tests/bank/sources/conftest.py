"""What the tests of this folder share."""

import csv
import gzip

import pytest

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


WIT = [
    # title, section, page, url
    ("Athens", "The capital.", "A city.", "https://upload.example/a/Athens_%28Greece%29.jpg"),
    ("Sparta", "", 'Another\tcity, "with" quotes\nand lines.', "https://upload.example/b/Sparta.jpg"),
    ("Thebes", "nan", "", "https://upload.example/c/..%2FThebes.jpg"),
    ("", "No title.", "", ""),
    ("", "", "NaN", "https://upload.example/d/x.jpg"),
]


WIT_COLUMNS = ("page_title", "context_section_description", "context_page_description", "image_url")


def write_wit(path, rows=WIT):
    opened = gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="")
    with opened as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["language", *WIT_COLUMNS])
        writer.writerows([["en", *row] for row in rows])
    return path
