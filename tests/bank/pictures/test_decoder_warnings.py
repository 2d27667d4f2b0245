"""What Pillow's decoders say."""

import io
import struct
import warnings
import zlib

import pytest

from comem_hf import MemoryItem
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from tests.conftest import make_image


def odd_animation(seed: int) -> bytes:
    """A PNG file that says it is an animation of no frames, for which Pillow warns."""
    buffer = io.BytesIO()
    make_image(seed).save(buffer, format="PNG")
    content, chunk = buffer.getvalue(), b"acTL" + struct.pack(">II", 0, seed)
    return content[:33] + struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]


def test_a_warning_of_many_pictures_is_logged_once(build, caplog, recwarn, tmp_path):
    items = [MemoryItem(image=odd_animation(seed), text="a", id=str(seed)) for seed in range(4)]
    assert len(build(items, output_dir=tmp_path / "bank")) == 4
    assert caplog.text.count("Pillow says of a picture, and may say it of more: Invalid APNG") == 1
    assert not [warning for warning in recwarn if "PIL" in warning.filename]


def test_warnings_of_others_go_where_they_went(caplog):
    with pytest.warns(UserWarning, match="of somebody else"), decoder_warnings_logged():
        warnings.warn("of somebody else", stacklevel=1)
    assert not caplog.text


def test_a_warning_of_a_picture_that_a_bank_reads_is_logged_once(build, caplog, recwarn, tmp_path):
    bank = build([MemoryItem(image=odd_animation(1), text="a", id="a")], output_dir=tmp_path / "bank")
    caplog.clear()
    for _ in range(2):
        assert bank["a"].image and bank.search(image=odd_animation(2), k=1)[0].item.image
    assert caplog.text.count("Invalid APNG") <= 1  # another test may have read such a picture before
    assert not [warning for warning in recwarn if "PIL" in warning.filename]


def test_statements_of_several_threads_leave_warnings_as_they_were(caplog):
    before = warnings.showwarning, list(warnings.filters)
    first, second = decoder_warnings_logged(), decoder_warnings_logged()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert (warnings.showwarning, list(warnings.filters)) == before
