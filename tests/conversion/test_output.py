"""A converted checkpoint appears whole or not at all."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from comem_hf.conversion import convert_checkpoint, export_adapter, merge_encoder
from comem_hf.conversion.output import shard_writer
from tests.conftest import make_model
from tests.conversion.conftest import RESAMPLER, edit, replaced
from tests.files.conftest import OLD, contents, make_old


@pytest.fixture
def source(make_published) -> Path:
    return make_published("qwen2_vl")[0]


def test_a_folder_with_something_in_it_is_not_overwritten(source, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is not empty; pass `overwrite=True` to replace it"):
        convert_checkpoint(source, tmp_path, resampler=RESAMPLER)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_a_file_or_a_link_in_the_way_is_refused(source, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(ValueError, match="`output` must be a folder or not exist"):
            convert_checkpoint(source, tmp_path / name, resampler=RESAMPLER, overwrite=True)


def test_an_empty_folder_is_filled(source, tmp_path):
    convert_checkpoint(source, tmp_path, resampler=RESAMPLER)
    assert (tmp_path / "config.json").is_file()


def test_with_overwrite_the_old_checkpoint_stays_until_the_new_one_is_complete(source, tmp_path):
    output = tmp_path / "out"
    convert_checkpoint(source, output, encoder="separate", resampler=RESAMPLER)
    (output / "model-00001-of-00002.safetensors").write_text("old")
    before = contents(output)

    key = "knowledge_processor.norm_out.weight"  # written last
    norm = load_file(source / "model.safetensors")[key].clone()  # not a view of the file
    edit(source, replaced(key, lambda weight: weight * float("nan")))
    with pytest.raises(ValueError, match="not a number"):
        convert_checkpoint(source, output, resampler=RESAMPLER, overwrite=True)
    assert contents(output) == before

    edit(source, replaced(key, lambda weight: norm))
    convert_checkpoint(source, output, resampler=RESAMPLER, overwrite=True)
    assert not (output / "model-00001-of-00002.safetensors").exists()
    assert AutoModelForImageTextToText.from_pretrained(output).config.encoder == "adapter"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("where", ["inside", "around", "same"])
def test_output_and_source_must_lie_apart(source, where):
    before = contents(source)
    output = {"inside": source / "out", "around": source.parent, "same": source}[where]
    message = f"must not be, contain or lie in the input folder {str(source)!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        convert_checkpoint(source, output, resampler=RESAMPLER, overwrite=True)
    assert contents(source) == before


def test_output_and_backbone_must_lie_apart(make_published):
    source, backbone = make_published("qwen2_vl")
    with pytest.raises(ValueError, match="must not be, contain or lie in the input folder .*backbone"):
        convert_checkpoint(source, backbone / "out", backbone=backbone, resampler=RESAMPLER)


def test_an_interrupted_conversion_leaves_nothing(source, tmp_path, monkeypatch):
    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(shard_writer, "_bytes_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert_checkpoint(source, tmp_path / "out", resampler=RESAMPLER)
    assert not any(tmp_path.iterdir())


def test_an_output_below_a_file_is_refused_by_its_own_name(source, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"^Cannot write to .*/file/out \(.*\); choose another folder\.$"):
        convert_checkpoint(source, tmp_path / "file" / "out", resampler=RESAMPLER)


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_too_small_is_told_before_writing(source, small_disk):
    with pytest.raises(OSError, match=r"needs 1\.\d MB, but only .* are free; make room or choose another disk"):
        convert_checkpoint(source, small_disk / "out", encoder="separate", resampler=RESAMPLER)
    assert not any(small_disk.iterdir())


def test_a_disk_that_fills_up_while_writing_is_left_as_it_was(source, small_disk, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 0, 10**9))
    with pytest.raises(OSError, match="Nothing was written to .*out: No space left on device"):
        convert_checkpoint(source, small_disk / "out", encoder="separate", resampler=RESAMPLER)
    assert not any(small_disk.iterdir())


def test_a_mount_point_is_refused_before_anything_is_computed(source, small_disk):
    with pytest.raises(ValueError, match="small' is a mount point, which cannot be replaced; name a folder in it"):
        convert_checkpoint(source, small_disk, resampler=RESAMPLER)


@pytest.mark.parametrize("write", [merge_encoder, export_adapter])
def test_a_disk_that_fills_up_while_merging_is_told_in_the_same_words(small_disk, write):
    (small_disk / "filler").write_bytes(bytes(1_000_000))
    with pytest.raises(OSError, match="Nothing was written to .*out: No space left on device.$"):
        write(make_model(), small_disk / "out")
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_disk_that_fills_up_while_overwriting_keeps_the_old_checkpoint(source, small_disk, monkeypatch):
    make_old(small_disk / "out")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 0, 10**9))
    with pytest.raises(OSError, match="No space left on device"):
        convert_checkpoint(source, small_disk / "out", encoder="separate", resampler=RESAMPLER, overwrite=True)
    assert contents(small_disk) == {"out/config.json": OLD}


LIMITED = """
import resource, sys
from comem_hf.conversion import convert_checkpoint

resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    convert_checkpoint(sys.argv[1], sys.argv[2], resampler={"num_attention_heads": 4, "head_dim": 16})
except OSError as error:
    print(error)
"""


@pytest.mark.slow  # a process of its own
def test_a_file_size_limit_is_told_and_leaves_nothing(source, tmp_path):
    arguments = [sys.executable, "-c", LIMITED, str(source), str(tmp_path / "out")]
    finished = subprocess.run(arguments, capture_output=True, text=True)
    assert finished.stdout == f"Nothing was written to {tmp_path / 'out'}: File too large.\n", finished.stderr
    assert not any(tmp_path.iterdir())


def test_files_have_ordinary_permissions(source, tmp_path):
    convert_checkpoint(source, tmp_path / "out", resampler=RESAMPLER)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755
    assert torch.is_tensor(load_file(tmp_path / "out" / "model.safetensors")["memory_encoder.resampler.norm.weight"])
