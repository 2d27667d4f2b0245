"""The words of errors."""

import errno
import struct

import PIL
import pytest

from comem_hf.bank.sources.rows.reasons import is_of_the_machine, reason_of


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error, reason",
    [
        (ValueError("not\nenough data."), "not enough data."),
        (struct.error("unpack requires a buffer of 4 bytes"), "struct.error: unpack requires a buffer of 4 bytes."),
        (KeyError(306), "KeyError: 306."),
        (NotImplementedError(), "NotImplementedError."),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "No such file or directory."),
        (caused(ValueError("no picture."), OSError("decoder error -2")), "no picture: decoder error -2."),
        (
            caused(ValueError("no picture: decoder error -2"), OSError("decoder error -2")),
            "no picture: decoder error -2.",
        ),
        (caused(ValueError("unknown"), PIL.UnidentifiedImageError("<_io.BytesIO at 0x7f>")), "unknown."),
    ],
)
def test_a_reason_keeps_the_words_of_the_decoder(error, reason):
    assert reason_of(error) == reason


def test_what_runs_out_is_no_fault_of_a_row():
    assert is_of_the_machine(MemoryError()) and is_of_the_machine(OSError(errno.ENOSPC, "full"))
    assert not is_of_the_machine(OSError(errno.EIO, "damaged")) and not is_of_the_machine(KeyError())
