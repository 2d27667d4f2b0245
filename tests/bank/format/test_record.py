"""What of a picture that is in memory makes it the picture that it is."""

import io
import os

import numpy as np
import PIL.Image

from comem_hf import MemoryItem
from comem_hf.bank.format.record import ItemRecord
from tests.conftest import make_image


def test_a_picture_with_an_orientation_is_stored_upright():
    sideways = PIL.Image.fromarray(np.arange(8 * 4 * 3, dtype=np.uint8).reshape(8, 4, 3))
    exif = sideways.getexif()
    exif[0x0112] = 6  # turn by 90 degrees to see it
    buffer = io.BytesIO()
    sideways.save(buffer, format="TIFF", exif=exif)
    record = ItemRecord.from_item(MemoryItem(image=PIL.Image.open(buffer), text="x"))
    assert PIL.Image.open(io.BytesIO(record.image)).size == (8, 4)


def test_pictures_that_differ_in_their_palette_only_are_two():
    pictures = []
    for colour in ((255, 0, 0), (0, 0, 255)):
        picture = PIL.Image.new("P", (4, 4))
        picture.putpalette(colour)
        pictures.append(ItemRecord.from_item(MemoryItem(image=picture, text="x")))
    assert pictures[0].id != pictures[1].id


def test_file_names_are_stored_as_text_without_folders(tmp_path):
    for name in (b"caf\xe9 \xff.png", "café.png".encode(), b"a\\b.png"):
        path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
        make_image(0).save(path)
        stored = ItemRecord.from_item(MemoryItem(image=path)).image_name
        assert stored == {b"caf\xe9 \xff.png": "caf%E9 %FF.png", b"a\\b.png": "a%5Cb.png"}.get(name, "café.png")
