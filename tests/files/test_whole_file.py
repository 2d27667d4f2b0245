"""Files are whole or not there."""

import errno
import hashlib
import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from comem_hf.files.whole_file import write_durably


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def run_out_of_space(unfinished):
        unfinished.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left to write '.*file'; free some space"):
        write_durably(path, run_out_of_space)
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == {"file": "old"}


@pytest.mark.parametrize(
    "error, message",
    [
        (OSError(errno.EDQUOT, "?"), "No space left in your quota to write '.*file'; free some space"),
        (OSError(errno.EFBIG, "?"), "file' would be larger than the file system or `ulimit -f` allows; raise that"),
        (RuntimeError(f"write error: 3 != 7 ({os.strerror(errno.EFBIG)})"), "or `ulimit -f` allows"),
    ],
)
def test_every_lack_of_room_is_told_in_a_sentence(tmp_path, error, message):
    def write(unfinished):
        raise error

    with pytest.raises(OSError, match=message):
        write_durably(tmp_path / "file", write)


def test_the_checksum_is_that_of_the_file(tmp_path):
    entry = write_durably(tmp_path / "file", lambda path: path.write_bytes(b"content"))
    assert entry == {"sha256": hashlib.sha256(b"content").hexdigest(), "size": 7}


def test_files_may_be_read_by_whom_other_new_files_may_be_read(tmp_path):
    (tmp_path / "plain").touch()
    write_durably(tmp_path / "file", lambda path: save_file({"x": np.zeros(3)}, path))
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode
