"""Items of a folder of images."""

import json
import operator

from comem_hf.bank.sources import (
    read_image_folder,
)


def test_a_folder_gives_its_images_in_the_order_of_their_names_with_their_captions(folder):
    items = list(read_image_folder(folder))
    assert [(item.metadata["file_name"], item.text) for item in items] == [
        ("a.JPG", None),
        ("b.png", "Second."),
        ("sub/c.webp", "Third."),
    ]
    assert items[1].image == folder / "b.png"
    assert operator.length_hint(read_image_folder(folder)) == 3


def test_a_metadata_file_decides_which_images_are_items(folder):
    lines = [
        {"file_name": "sub/c.webp", "text": "A flag.", "id": "c", "language": "en"},
        {"file_name": "b.png", "caption": "Another.", "text": None},
        {"file_name": "../outside.png", "text": "..."},
        {"file_name": "/etc/passwd", "text": "..."},
        {"text": "No file."},
        {"file_name": "b\0.png"},
        {"file_name": "gone.png"},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    items = list(read_image_folder(folder))
    assert (items[0].id, items[0].text) == ("c", "A flag.")
    assert items[0].metadata == {"file_name": "sub/c.webp", "language": "en"}
    assert (items[1].text, items[1].id) == ("Another.", None)
    for item in items[2:6]:
        assert "`file_name` must be a path inside the folder, got" in item.reason
    assert items[6].image == folder / "gone.png"  # the build says that it is missing
