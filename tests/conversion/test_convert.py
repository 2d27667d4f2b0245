"""What a conversion writes beside the weights, and what it tells."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from comem_hf import CoMemProcessor, __version__
from comem_hf.conversion import convert_checkpoint
from tests.conversion.conftest import RESAMPLER, edit, replaced


ENCODER = "memory_encoder.model."


def test_a_backbone_with_a_tokenizer_gives_a_processor(make_published, tmp_path, tiny_processor):
    source, backbone = make_published("qwen2_vl")
    tiny_processor.tokenizer.save_pretrained(backbone)
    tiny_processor.image_processor.save_pretrained(backbone)
    report = convert_checkpoint(source, tmp_path / "out", backbone=backbone, resampler=RESAMPLER)
    assert report.has_processor
    processor = AutoProcessor.from_pretrained(tmp_path / "out")
    assert isinstance(processor, CoMemProcessor)
    assert processor.image_processor.size == tiny_processor.image_processor.size


def test_the_report_is_written_and_tells_no_local_path(make_published, tmp_path):
    source, backbone = make_published("qwen2_vl")
    report = convert_checkpoint(source, tmp_path / "out", backbone=backbone, resampler=RESAMPLER)
    text = (tmp_path / "out" / "conversion.json").read_text()
    assert str(source.parent) not in text
    written = json.loads(text)
    assert written["source"] == "source" and written["backbone"] == "backbone"
    assert written["comem_hf_version"] == __version__
    assert (written["layout"], written["encoder"], written["rank"]) == ("full merged", "adapter", 4)
    assert written["max_error"] == report.max_error
    assert {layer: values["error"] for layer, values in written["layers"].items()} == report.errors
    assert len(report.errors) == 24 and report.errors[report.worst_layer] == report.max_error


def test_layers_that_did_not_change_get_no_adapter(make_published, tmp_path):
    source, _ = make_published("qwen2_vl")

    def only_queries(tensors):
        return {
            key: tensors[f"model_inf.{key}"]
            if f"model_inf.{key}" in tensors and "q_proj.weight" not in key
            else tensor
            for key, tensor in tensors.items()
        }

    report = convert_checkpoint(edit(source, only_queries), tmp_path / "out", resampler=RESAMPLER)
    assert report.rank == 4
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out")
    assert model.config.lora_config["target_modules"] == [
        f"language_model.layers.{number}.self_attn.q_proj" for number in (0, 1)
    ]
    assert sum(name.endswith("/A") for name, _ in model.named_parameters()) == 2


def test_an_encoder_without_any_change_gets_an_adapter_of_zeros(make_published, tmp_path):
    source, _ = make_published("qwen2_vl")
    edit(source, lambda tensors: {key: tensors.get(f"model_inf.{key}", tensor) for key, tensor in tensors.items()})
    assert convert_checkpoint(source, tmp_path / "out", resampler=RESAMPLER).rank == 1
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert not any(tensor.any() for key, tensor in written.items() if "lora" in key)


def test_a_given_rank_is_used_if_the_error_allows(make_published, tmp_path):
    source, _ = make_published("qwen2_vl")
    report = convert_checkpoint(source, tmp_path / "out", resampler=RESAMPLER, rank=3, max_error=0.9)
    assert report.rank == 3
    assert 0.01 < report.max_error < 0.9
    assert AutoModelForImageTextToText.from_pretrained(tmp_path / "out").config.lora_config["r"] == 3


@pytest.mark.parametrize(("source_dtype", "backbone_dtype"), [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_source_and_backbone_may_have_other_dtypes(make_published, tmp_path, source_dtype, backbone_dtype):
    source, backbone = make_published("qwen2_vl", "merged_without_inference_copy")
    for folder, dtype in (source, source_dtype), (backbone, backbone_dtype):
        edit(folder, lambda tensors, dtype=dtype: {k: v.to(getattr(torch, dtype)) for k, v in tensors.items()})
    report = convert_checkpoint(source, tmp_path / "out", backbone=backbone, resampler=RESAMPLER)
    assert report.rank == 4
    assert report.max_error < report.noise[report.worst_layer] < 0.05
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out")
    assert str(model.dtype) == f"torch.{backbone_dtype}"


def test_a_backbone_in_another_dtype_is_still_the_copy_in_the_checkpoint(make_published, tmp_path):
    source, backbone = make_published("qwen2_vl")
    edit(backbone, lambda tensors: {key: tensor.bfloat16() for key, tensor in tensors.items()})
    convert_checkpoint(source, tmp_path / "out", backbone=backbone, encoder="separate", resampler=RESAMPLER)
    edit(backbone, replaced("model.norm.weight", lambda weight: weight * 1.01))
    with pytest.raises(ValueError, match="model.language_model.norm.weight differs"):
        convert_checkpoint(source, tmp_path / "other", backbone=backbone, encoder="separate", resampler=RESAMPLER)
