"""`overwrite` replaces what was written here before, and nothing else."""

import json
from functools import partial

import pytest

from comem_hf.conversion import convert_checkpoint, export_adapter, merge_encoder
from comem_hf.conversion.output.replaceable import CHECKPOINT, refuse_unless_replaceable
from comem_hf.files.whole_folder import whole_folder
from tests.conftest import make_backbone, make_model


def fill(folder):
    check = partial(refuse_unless_replaceable, kind=CHECKPOINT)
    with whole_folder(folder, "output", overwrite=True, check_replaceable=check) as unfinished:
        (unfinished / "config.json").touch()


@pytest.mark.parametrize("config", [None, "{}", "[]", "no json", '{"model_type": "qwen2_vl"}'])
def test_a_folder_without_a_checkpoint_of_this_package_is_not_replaced(tmp_path, config):
    (tmp_path / "mine.txt").write_text("mine")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(ValueError, match="does not hold a CoMEM checkpoint to replace; choose another folder"):
        fill(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["data", ".git", "notes.txt", "README.md", "train.py"])
def test_a_checkpoint_with_something_else_beside_it_is_not_replaced(tmp_path, name):
    make_model().save_pretrained(tmp_path)
    (tmp_path / name).touch() if "." in name[1:] else (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"holds {name}, which would not be written here; choose another folder"):
        fill(tmp_path)
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("memory_only", [False, True])
def test_a_whole_checkpoint_is_replaced(tmp_path, tiny_processor, memory_only):
    make_model().save_pretrained(tmp_path / "out", max_shard_size="100KB", memory_only=memory_only)
    tiny_processor.save_pretrained(tmp_path / "out")
    fill(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["config.json"]


@pytest.mark.parametrize("write", [merge_encoder, export_adapter])
def test_a_merged_encoder_or_adapter_is_replaced_only_by_its_kind(tmp_path, write):
    model, output = make_model(), tmp_path / "output"
    write(model, output)
    with pytest.raises(ValueError, match="is not empty; pass `overwrite=True`"):
        write(model, output)
    write(model, output, overwrite=True)
    with pytest.raises(ValueError, match="does not hold a.* to replace"):
        (export_adapter if write is merge_encoder else merge_encoder)(model, output, overwrite=True)
    (output / "mine").touch()
    with pytest.raises(ValueError, match="holds mine, which would not be written here"):
        write(model, output, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_models_and_adapters_of_others_are_not_replaced(tmp_path, make_published):
    make_backbone().save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="does not hold a merged memory encoder"):
        merge_encoder(make_model(), tmp_path / "model", overwrite=True)
    adapter, backbone = make_published("qwen2_vl", "lora_adapter")
    with pytest.raises(ValueError, match="does not hold an exported adapter"):
        export_adapter(make_model(), adapter, overwrite=True)
    with pytest.raises(ValueError, match="does not hold a CoMEM checkpoint"):
        convert_checkpoint(make_published("qwen2_vl")[0], backbone, overwrite=True)


@pytest.mark.parametrize("write", [merge_encoder, export_adapter])
@pytest.mark.parametrize("loaded", [False, True])
def test_the_backbone_that_a_memory_only_model_names_is_never_touched(tmp_path, write, loaded):
    model, backbone = make_model(), tmp_path / "backbone"
    model.backbone.save_pretrained(backbone)
    model.config.backbone_name_or_path = str(backbone)
    model.save_pretrained(tmp_path / "memory", memory_only=True)
    for output in (backbone, backbone / "sub"):
        with pytest.raises(ValueError, match="must not be, contain or lie in the input folder .*backbone'"):
            write(model if loaded else tmp_path / "memory", output, overwrite=True)
    assert json.loads((backbone / "config.json").read_text())["model_type"] == "qwen2_vl"
    assert not (backbone / "sub").exists()
