"""What can be converted is written whole; what cannot is refused by name and leaves nothing behind."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor

from comem_hf import CoMemProcessor
from comem_hf.conversion import convert_checkpoint


SOURCE = Path(__file__).parent.parent / "golden" / "qwen2_vl" / "merged_full"
RESAMPLER = {"num_attention_heads": 4, "head_dim": 16}


@pytest.fixture
def source(tmp_path) -> Path:
    shutil.copytree(SOURCE, tmp_path / "source")
    return tmp_path / "source"


def edit(folder: Path, change) -> Path:
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors")
    return folder


def without(prefix: str):
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if not key.startswith(prefix)}


def replaced(key: str, make):
    return lambda tensors: {**tensors, key: make(tensors[key])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("knowledge_processor."), "no resampler"),
        (without("model_inf."), "only the full merged layout"),
        (without("model.layers.1."), "lacks .* tensors"),
        (without("knowledge_processor.norm_out"), "another resampler"),
        (replaced("model.layers.0.mlp.up_proj.weight", torch.randn_like), "up_proj.weight is not low-rank"),
        (replaced("model.norm.weight", lambda weight: weight + 1), "is no linear layer's weight"),
        (replaced("model_inf.lm_head.weight", lambda weight: weight[:-1].clone()), "does not fit"),
    ],
)
def test_a_source_of_another_kind_is_refused(source, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        convert_checkpoint(edit(source, change), tmp_path / "out", resampler=RESAMPLER)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_wrong_resampler_heads_are_refused_with_both_numbers(tmp_path):
    with pytest.raises(ValueError, match="must be 64, .* got 4 times 32"):
        convert_checkpoint(SOURCE, tmp_path / "out", resampler={"num_attention_heads": 4, "head_dim": 32})


def test_another_backbone_is_refused(source, tmp_path, make_backbone_folder):
    backbone = make_backbone_folder("qwen2_vl")
    edit(backbone, replaced("model.norm.weight", lambda weight: weight + 1))
    with pytest.raises(ValueError, match="is not the one in .* model.language_model.norm.weight differs"):
        convert_checkpoint(source, tmp_path / "out", backbone=backbone, resampler=RESAMPLER)


def test_a_folder_with_something_in_it_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="`output` must not exist or be an empty folder"):
        convert_checkpoint(SOURCE, tmp_path, resampler=RESAMPLER)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_without_a_backbone_folder_the_frozen_copy_and_its_configuration_are_used(tmp_path):
    report = convert_checkpoint(SOURCE, tmp_path / "out", resampler=RESAMPLER)
    assert report.rank == 4
    assert (tmp_path / "out" / "generation_config.json").is_file()


def test_a_backbone_with_a_tokenizer_gives_a_processor(tmp_path, make_backbone_folder, tiny_processor):
    backbone = make_backbone_folder("qwen2_vl")
    tiny_processor.tokenizer.save_pretrained(backbone)
    tiny_processor.image_processor.save_pretrained(backbone)
    report = convert_checkpoint(SOURCE, tmp_path / "out", backbone=backbone, resampler=RESAMPLER)
    assert report.has_processor
    processor = AutoProcessor.from_pretrained(tmp_path / "out")
    assert isinstance(processor, CoMemProcessor)
    assert processor.image_processor.size == tiny_processor.image_processor.size


def test_a_sharded_source_gives_the_same_as_a_single_file(source, tmp_path):
    tensors = load_file(source / "model.safetensors")
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    (source / "model.safetensors").unlink()
    for file, keys in shards.items():
        save_file({key: tensors[key] for key in keys}, source / file)
    weight_map = {key: file for file, keys in shards.items() for key in keys}
    (source / "model.safetensors.index.json").write_text(str({"weight_map": weight_map}).replace("'", '"'))

    convert_checkpoint(source, tmp_path / "sharded", encoder="separate", resampler=RESAMPLER)
    convert_checkpoint(SOURCE, tmp_path / "single", encoder="separate", resampler=RESAMPLER)
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("sharded", "single"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
