"""Items on their way into a bank."""

import os

import pytest

from comem_hf import MemoryItem
from comem_hf.bank.encoding.skipped import read_skipped
from comem_hf.bank.format.record import MAX_IMAGE_BYTES, ItemRecord
from tests.conftest import make_image


def test_what_is_no_file_or_too_large_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(MAX_IMAGE_BYTES + 1)
    for image, reason in (
        (tmp_path / "pipe.png", "^'.*pipe.png': cannot read image: it is no file"),
        ("/dev/zero", "^'/dev/zero': cannot read image: it is no file"),
        (tmp_path, "^'.*': cannot read image: Is a directory"),
        (tmp_path / "a\0.png", "^'.*': cannot read image: embedded null byte"),
        (tmp_path / "large.png", "^'.*large.png': cannot read image: it has 67,108,865 bytes, at most 67,108,864 are"),
        (bytes(MAX_IMAGE_BYTES + 1), "its image has 67,108,865 bytes"),
    ):
        with pytest.raises(ValueError, match=reason):
            ItemRecord.from_item(MemoryItem(image=image))


@pytest.mark.parametrize("given_id", ["twin", None])
def test_an_item_that_is_there_twice_is_stored_once(build, given_id, tmp_path):
    items = [MemoryItem(image=make_image(0), text="a", id=given_id) for _ in range(8)]
    bank = build(items, output_dir=tmp_path / "bank", on_error="raise")
    assert len(bank) == 1 and not read_skipped(bank.folder)
