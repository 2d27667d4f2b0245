"""What is accepted as the visitor's picture."""

import os

import PIL.Image
import pytest

from comem_hf.app.incoming import picture
from comem_hf.app.incoming.picture import data_uri, read_picture
from tests.conftest import make_image


@pytest.fixture
def uploads(tmp_path):
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


def test_an_uploaded_picture_is_opened_upright(uploads):
    exif = PIL.Image.Exif()
    exif[274] = 6  # on its side
    make_image(0, (40, 20)).save(uploads / "a.jpg", exif=exif)
    assert read_picture({"path": str(uploads / "a.jpg")}, uploads).size == (20, 40)


def test_transparent_parts_of_an_upload_are_white(uploads):
    logo = make_image().convert("RGBA")
    logo.putalpha(0)
    for name in ("a.png", "a.webp"):
        logo.save(uploads / name)
        assert read_picture({"path": str(uploads / name)}, uploads).getcolors() == [(56 * 56, (255, 255, 255))]


@pytest.mark.parametrize("value", [None, "a.png", {}, {"path": None}, {"path": 3}, {"path": "a\0b"}, ["a.png"]])
def test_without_a_picture_the_visitor_is_asked_for_one(uploads, value):
    with pytest.raises(ValueError, match="Choose an example or upload a picture first"):
        read_picture(value, uploads)


def test_no_path_outside_the_folder_of_uploads_is_opened(uploads, tmp_path):
    make_image().save(tmp_path / "secret.png")
    os.symlink(tmp_path / "secret.png", uploads / "link.png")
    for path in (
        tmp_path / "secret.png",
        uploads / ".." / "secret.png",
        uploads / "link.png",
        "http://127.0.0.1/a.png",
        f"file://{tmp_path}/secret.png",
        uploads,
        uploads / "missing.png",
    ):
        with pytest.raises(ValueError, match="Choose an example or upload a picture first"):
            read_picture({"path": str(path), "url": str(tmp_path / "secret.png")}, uploads)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n broken",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF",
    ],
)
def test_a_file_that_is_no_picture_is_refused(uploads, content):
    (uploads / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match="This file is no picture in PNG, JPEG, WebP, GIF or BMP format"):
        read_picture({"path": str(uploads / "a.png")}, uploads)


def test_a_truncated_picture_is_refused(uploads):
    make_image(0, (200, 200)).save(uploads / "whole.jpg")
    (uploads / "half.jpg").write_bytes((uploads / "whole.jpg").read_bytes()[:600])
    with pytest.raises(ValueError, match="This file is no picture"):
        read_picture({"path": str(uploads / "half.jpg")}, uploads)


@pytest.mark.parametrize("side", [8000, 14_000])  # Pillow itself refuses the second
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(uploads, monkeypatch, side):
    PIL.Image.new("1", (side, side)).save(uploads / "a.png")
    assert (uploads / "a.png").stat().st_size < 40_000
    monkeypatch.setattr("comem_hf.app.incoming.picture.load_image", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match="The picture is too big: at most 40 million pixels"):
        read_picture({"path": str(uploads / "a.png")}, uploads)


def test_a_picture_that_is_too_narrow_says_its_size(uploads):
    make_image(0, (5000, 20)).save(uploads / "a.png")
    with pytest.raises(ValueError, match=r"^The picture is 5000 x 20 pixels; one side may be at most 200 times"):
        read_picture({"path": str(uploads / "a.png")}, uploads)


def test_a_file_of_too_many_bytes_is_refused(uploads, monkeypatch):
    monkeypatch.setattr(picture, "MAX_FILE_BYTES", 10)
    make_image().save(uploads / "a.png")
    with pytest.raises(ValueError, match="The file is too big"):
        read_picture({"path": str(uploads / "a.png")}, uploads)


def test_pictures_in_the_page_are_small():
    assert len(data_uri(make_image(0, (3000, 2000)))) < 40_000
