"""Items and pictures are checked before anything is computed."""

import io
import warnings

import PIL.Image
import pytest

from comem_hf import MemoryItem
from tests.conftest import make_image


def test_an_item_needs_an_image_or_a_text():
    for values in ({}, {"text": ""}, {"text": "  \n"}):
        with pytest.raises(ValueError, match="needs an image, a text or both, got neither .id 'x'"):
            MemoryItem(**values, id="x")


def test_an_item_of_wrong_types_is_refused():
    with pytest.raises(ValueError, match="`image` must be a PIL image, path, .* or {'bytes', 'path'}, got int"):
        MemoryItem(image=3)
    with pytest.raises(ValueError, match="`text` must be a string, got list"):
        MemoryItem(text=["a"])


def test_an_image_loads_the_same_from_memory_path_and_bytes(tmp_path):
    image = make_image(1)
    image.save(tmp_path / "image.png")
    sources = (image, tmp_path / "image.png", str(tmp_path / "image.png"), (tmp_path / "image.png").read_bytes())
    assert {MemoryItem(image=source).load_image().tobytes() for source in sources} == {image.tobytes()}
    assert MemoryItem(text="a").load_image() is None


def test_other_colour_modes_become_rgb(tmp_path):
    for mode in ("L", "P", "RGBA", "CMYK"):
        assert MemoryItem(image=make_image(1).convert(mode)).load_image().mode == "RGB"


def test_a_rotated_photo_is_turned_upright():
    buffer, exif = io.BytesIO(), PIL.Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    make_image(1, (60, 30)).save(buffer, format="JPEG", exif=exif)
    assert MemoryItem(image=buffer.getvalue()).load_image().size == (30, 60)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="missing.png' does not exist"):
        MemoryItem(image=tmp_path / "missing.png").load_image()


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_an_unreadable_file_is_named(tmp_path, content):
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(ValueError, match="broken.png' is not a readable picture"):
        MemoryItem(image=tmp_path / "broken.png").load_image()


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_unreadable_bytes_are_not_shown_by_their_address(content):
    with pytest.raises(
        ValueError, match="item 'x' is not a readable picture: the bytes are no whole picture"
    ) as error:
        MemoryItem(image=content, id="x").load_image()
    assert "BytesIO" not in str(error.value)


def test_a_truncated_file_is_named(tmp_path):
    buffer = io.BytesIO()
    make_image(1, (200, 200)).save(buffer, format="JPEG")
    with pytest.raises(ValueError, match="the image of memory item 'x' is not a readable picture"):
        MemoryItem(image=buffer.getvalue()[:800], id="x").load_image()


@pytest.mark.parametrize("limit", [3000, 1000], ids=["where Pillow warns", "where Pillow refuses"])
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, limit):
    make_image(1, (64, 64)).save(tmp_path / "bomb.png")
    image = make_image(1, (64, 64))
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
        with pytest.raises(ValueError, match="bomb.png' is too large to be opened safely"):
            MemoryItem(image=tmp_path / "bomb.png").load_image()
        with pytest.raises(ValueError, match="64 x 64 pixels"):
            MemoryItem(image=image).load_image()
