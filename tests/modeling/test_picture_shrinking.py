"""Large pictures come smaller out of their decoder where they are used at a small size, and look the same."""

import io

import numpy as np
import PIL.Image
import pytest

from comem_hf import MemoryItem
from comem_hf.modeling import picture_shrinking_comem
from comem_hf.modeling.picture_comem import load_image
from comem_hf.modeling.picture_shrinking_comem import shrunk_size
from tests.conftest import make_image


SIZE = (640, 440)


def scene(mode: str = "RGB") -> PIL.Image.Image:
    """A smooth picture without symmetry: every way to make it smaller gives nearly the same."""
    return make_image(3, (4, 3)).resize(SIZE, PIL.Image.Resampling.BICUBIC).convert(mode)


def encode(picture: PIL.Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=format, **options)
    return buffer.getvalue()


def transparent() -> PIL.Image.Image:
    picture = scene("RGBA")
    picture.putalpha(PIL.Image.linear_gradient("L").resize(SIZE))
    return picture


def turned() -> bytes:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    return encode(scene(), "JPEG", exif=exif)


FILES = {
    "jpeg": lambda: encode(scene(), "JPEG", quality=95),
    "progressive jpeg": lambda: encode(scene(), "JPEG", quality=95, progressive=True),
    "grey jpeg": lambda: encode(scene("L"), "JPEG"),
    "cmyk jpeg": lambda: encode(scene("CMYK"), "JPEG"),
    "turned jpeg": turned,
    "two pictures of a phone": lambda: encode(scene(), "MPO", save_all=True, append_images=[make_image(1, SIZE)]),
    "png": lambda: encode(scene(), "PNG"),
    "transparent png": lambda: encode(transparent(), "PNG"),
    "palette": lambda: encode(scene().quantize(64), "PNG"),
    "16 bits": lambda: encode(PIL.Image.fromarray(np.asarray(scene("L"), np.uint16) * 257), "PNG"),
}


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    monkeypatch.setattr(picture_shrinking_comem, "LARGE", 20_000)


def use(size):
    """A size of a twentieth, but of multiples of four: not every smaller picture leads to the same."""
    longest = max(size)
    return tuple(max(1, round(8 * side / longest)) * 4 for side in size)


@pytest.mark.parametrize("form", FILES)
def test_a_shrunk_picture_is_the_whole_one_made_smaller(form):
    content = FILES[form]()
    whole, shrunk = load_image(content), load_image(content, uses=[use])
    assert whole.mode == shrunk.mode == "RGB" and whole.size == (SIZE[::-1] if form == "turned jpeg" else SIZE)
    assert shrunk.size == tuple(side // 4 for side in whole.size) and shrunk.info == {}
    differences = np.abs(np.asarray(whole.reduce(4), int) - np.asarray(shrunk, int))
    assert differences.mean() < 1.5 and differences.max() < 16
    assert load_image(shrunk, uses=[use]).tobytes() == shrunk.tobytes()  # a second time changes nothing


def test_pixels_that_a_use_needs_are_kept():
    content = FILES["jpeg"]()
    whole = load_image(content).tobytes()
    assert load_image(content, uses=[use, lambda size: None]).tobytes() == whole
    assert load_image(content, uses=[lambda size: size]).tobytes() == whole  # each size would lead to another one
    assert load_image(content, uses=[use, lambda size: (130, 90)]).size == (320, 220)  # half, which is twice as large
    assert load_image(content, uses=[use, lambda size: (170, 90)]).tobytes() == whole
    assert shrunk_size(SIZE, [use]) == (160, 110) and shrunk_size(SIZE, []) == SIZE
    small = encode(make_image(1, (200, 100)), "JPEG")  # of as many pixels as are small
    assert load_image(small, uses=[use]).tobytes() == load_image(small).tobytes()


def test_a_picture_of_the_callers_keeps_its_size(tiny_processor):
    opened = PIL.Image.open(io.BytesIO(FILES["jpeg"]()))
    assert load_image(opened, uses=[use]).size == (160, 110) and opened.size == SIZE


def test_a_processor_gets_twice_the_pixels_of_its_patches_and_as_many_patches(tiny_processor):
    content = FILES["jpeg"]()
    side = tiny_processor.memory_picture_size(SIZE)
    picture = MemoryItem(image=content).load_image([tiny_processor.memory_picture_size])
    assert picture.size < SIZE and all(2 * a <= b for a, b in zip(side, picture.size, strict=True))
    inputs = tiny_processor.process_memories([[MemoryItem(image=content), MemoryItem(image=load_image(content))]])
    ours, whole = inputs["pixel_values"].chunk(2)
    assert inputs["image_grid_thw"][0].tolist() == [1, side[1] // 14, side[0] // 14]
    assert (ours - whole).abs().mean() < 0.02 and tiny_processor.memory_picture_size((1000, 4)) is None
