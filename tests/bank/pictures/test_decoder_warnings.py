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
