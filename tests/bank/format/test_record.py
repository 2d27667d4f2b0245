"""What of a picture that is in memory makes it the picture that it is."""

import hashlib
import io
import os

import numpy as np
import PIL.Image
import pytest

from comem_hf import MemoryItem
from comem_hf.bank.format.record import ItemRecord
from comem_hf.modeling.picture_comem import load_image
from tests.conftest import make_image
from tests.picture_forms import encode, forms


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


def test_every_form_of_a_picture_is_stored_with_its_pixels(tmp_path):
    image = make_image(1)
    content = encode(image)
    for name, picture in forms(image, tmp_path).items():
        record = ItemRecord.from_item(MemoryItem(image=picture, text="x"))
        assert load_image(record.image).tobytes() == image.tobytes(), name
        is_file = name in ("path", "string", "undecoded, path")
        assert record.image_name == ("picture.png" if is_file else None)
        if not name.startswith(("pil", "numpy", "torch")):  # an encoded file, whose id is that of its bytes
            assert record.image == content
            assert record.id == ItemRecord.from_item(MemoryItem(image=content, text="x")).id


def test_ids_of_pictures_are_those_of_older_versions():
    image = PIL.Image.fromarray(np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3))
    transparent = image.convert("RGBA")
    transparent.putalpha(7)
    deep = PIL.Image.fromarray(np.arange(16, dtype=np.uint16).reshape(4, 4))
    ids = {
        "c34a6d5b5d1798932ca5d786e9fc48c1": image,
        "dd19d7b83dff8889b9f505482ba09b47": transparent,
        "fcfc5117ce8ef7f0ac3899a24924da88": image.convert("CMYK"),
        "d0cadd60494ffb4969525de6b5bb5869": deep,
        "7fa0be36bd388f7ef8d4697c8d8d6065": deep.convert("I"),
    }
    for item_id, picture in ids.items():
        assert ItemRecord.from_item(MemoryItem(image=picture, text="x")).id == item_id, picture.mode


def test_what_png_cannot_keep_is_stored_as_the_model_sees_it():
    for image in (
        PIL.Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(1, -1)),
        PIL.Image.fromarray(np.linspace(0, 65535, 256).astype(np.int32).reshape(1, -1)),
        PIL.Image.frombytes("I;16B", (256, 1), np.linspace(0, 65535, 256).astype(">u2").tobytes()),
        PIL.Image.merge("PA", (make_image(1).convert("P"), PIL.Image.new("L", (56, 56), 30))),
        make_image(1).convert("CMYK"),
    ):
        record = ItemRecord.from_item(MemoryItem(image=image, text="x"))
        assert load_image(record.image).tobytes() == load_image(image).tobytes(), image.mode
    deep = PIL.Image.fromarray(np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, -1))
    stored = PIL.Image.open(io.BytesIO(ItemRecord.from_item(MemoryItem(image=deep, text="x")).image))
    assert np.array_equal(np.asarray(stored), np.asarray(deep))


def test_damaged_exif_data_of_a_picture_in_memory_costs_no_item():
    image = make_image(1)
    image.info["exif"] = b"Exif\0\0" + b"\xff" * 50
    record = ItemRecord.from_item(MemoryItem(image=image, text="x"))
    assert load_image(record.image).tobytes() == image.tobytes()


def test_a_long_string_that_is_no_picture_is_not_in_the_reason():
    for string in ("A" * 5000, "pictures/" * 500, "data:image/png;base64," + "A!" * 2000):
        with pytest.raises(ValueError) as error:
            ItemRecord.from_item(MemoryItem(image=string, text="x"))
        assert len(str(error.value)) < 400


def test_file_names_are_stored_as_text_without_folders(tmp_path):
    for name in (b"caf\xe9 \xff.png", "café.png".encode(), b"a\\b.png"):
        path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
        make_image(0).save(path)
        stored = ItemRecord.from_item(MemoryItem(image=path)).image_name
        assert stored == {b"caf\xe9 \xff.png": "caf%E9 %FF.png", b"a\\b.png": "a%5Cb.png"}.get(name, "café.png")


def test_an_id_is_made_of_text_and_picture_and_of_metadata_if_there_is_any():
    """Ids of items without metadata are those that older versions made."""
    bare = ItemRecord.from_item(MemoryItem(image=b"picture", text="x"))
    assert bare.id == hashlib.sha256(b'"x"' + b"filepicture").hexdigest()[:32]
    assert ItemRecord.from_item(MemoryItem(image=b"picture", text="x", metadata={})).id == bare.id
    priced = [ItemRecord.from_item(MemoryItem(image=b"picture", text="x", metadata={"p": p})) for p in (1, 2)]
    assert len({bare.id, *(record.id for record in priced)}) == 3
    assert [record.other_ids for record in priced] == [(bare.id,), (bare.id,)]
    assert ItemRecord.from_item(MemoryItem(image=b"picture", text="x", id="mine")).other_ids == ()


def test_the_name_of_its_file_is_no_part_of_what_an_item_is():
    def record(**metadata):
        return ItemRecord.from_item(MemoryItem(image=b"picture", text="x", metadata=metadata))

    one, other = record(file_name="a.png", price=1), record(file_name="copy/a.png", price=1)
    assert (one.id, one.content) == (other.id, other.content) == (record(price=1).id, record(price=1).content)
    assert one.same_content(other) and one.digest != other.digest and "copy/a.png" in other.metadata
    assert record(file_name="a.png").id == record().id != one.id
    assert not one.same_content(record(file_name="a.png", price=2))
    # A bank that was built when names counted has ids that were made with them.
    with_name = hashlib.sha256(b'"x"filepicturemetadata' + one.metadata.encode()).hexdigest()[:32]
    assert one.other_ids == (record().id, with_name)
