"""What of a picture that is in memory makes it the picture that it is."""

import hashlib
import io

import numpy as np
import PIL.Image

from comem_hf import MemoryItem
from comem_hf.bank.format.record import ItemRecord


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


def test_an_id_is_made_of_text_and_picture_and_of_metadata_if_there_is_any():
    """Ids of items without metadata are those that older versions made."""
    bare = ItemRecord.from_item(MemoryItem(image=b"picture", text="x"))
    assert bare.id == hashlib.sha256(b'"x"' + b"filepicture").hexdigest()[:32]
    assert ItemRecord.from_item(MemoryItem(image=b"picture", text="x", metadata={})).id == bare.id
    priced = [ItemRecord.from_item(MemoryItem(image=b"picture", text="x", metadata={"p": p})) for p in (1, 2)]
    assert len({bare.id, *(record.id for record in priced)}) == 3
    assert [record.other_id for record in priced] == [bare.id, bare.id]
    assert ItemRecord.from_item(MemoryItem(image=b"picture", text="x", id="mine")).other_id is None
