"""Configurations, processors and assumptions: what stands beside the weights, or stands nowhere."""

import json
import re
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from comem_hf.conversion import convert_checkpoint
from comem_hf.conversion.weights import adapters
from comem_hf.conversion.weights.reader_weights import UNKNOWN, UNKNOWN_BASE
from tests.conversion.conftest import RESAMPLER, set_config


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("where", ["spoil", "spoil_backbone"])
@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "has no config.json, which describes its weights; add it"),
        ("", "config.json is no JSON object of settings; download it again"),
        ("[]", "config.json is no JSON object of settings; download it again"),
        ("{}", r"config.json: model_type must be one of \['qwen2_vl', 'qwen2_5_vl'\], got None"),
        ('{"model_type": "llama"}', "model_type must be one of .* got 'llama'"),
        (
            '{"model_type": "qwen2_vl", "hidden_size": "64"}',
            r"config.json describes no qwen2_vl model \(.*hidden_size",
        ),
        (
            '{"model_type": "qwen2_vl", "torch_dtype": "float17"}',
            r"describes no qwen2_vl model \(.*float17",
        ),
    ],
)
def test_a_configuration_that_is_none_is_told(refused, where, config, message):
    def spoil(folder: Path):
        (folder / "config.json").unlink()
        if config is not None:
            (folder / "config.json").write_text(config)

    arguments = {"backbone": None} if where == "spoil" else {"layout": "lora_adapter"}
    refused(message, **{where: spoil}, **arguments)


def test_an_adapter_is_no_backbone(refused, make_published):
    adapter, _ = make_published("qwen2_vl", "lora_adapter")
    refused("`backbone` .* is an adapter; pass the plain model", backbone=adapter, layout="lora_adapter")


def test_an_adapter_without_backbone_tells_what_it_calls_it(refused):
    message = r"is an adapter without its backbone; pass `backbone=` \(--backbone\), .*; it names 'someone/base'"
    refused(
        message,
        lambda folder: set_config(folder, base_model_name_or_path="someone/base"),
        layout="lora_adapter",
        backbone=None,
    )


def test_a_missing_image_processor_is_told_before_the_adapter_is_recovered(refused, monkeypatch):
    monkeypatch.setattr(adapters, "factor_change", lambda *arguments: pytest.fail("too late"))
    refused(
        "backbone has tokenizer_config.json, but no preprocessor_config.json, .* add it, or remove the tokenizer",
        spoil_backbone=lambda folder: (folder / "tokenizer_config.json").write_text("{}"),
    )


def test_sizes_that_were_assumed_are_told(make_published, tmp_path):
    source, _ = make_published("qwen2_vl")
    report = convert_checkpoint(source, tmp_path / "out")
    resampler = "Resampler: 16 heads of 4, 8 passes (assumed; --resampler-heads, --resampler-layers)."
    assert report.notes == [resampler, UNKNOWN_BASE]
    assert json.loads((tmp_path / "out" / "conversion.json").read_text())["notes"] == report.notes
    report = convert_checkpoint(source, tmp_path / "out", resampler={"head_dim": 16}, overwrite=True)
    assert report.notes == ["Resampler: 4 heads of 16, 8 passes (assumed; --resampler-layers).", UNKNOWN_BASE]
    report = convert_checkpoint(
        source, tmp_path / "out", resampler={"num_hidden_layers": 2, **RESAMPLER}, overwrite=True
    )
    assert report.notes == [UNKNOWN_BASE]


@pytest.mark.parametrize(
    ("name", "written", "note"),
    [
        ("someone/Backbone", "someone/Backbone", None),
        ("/home/ann/models/backbone", "backbone", None),
        ("/home/ann/models/other", "other", "The adapter names 'other' as its backbone; .* whether 'backbone' is"),
        (
            None,
            None,
            "The adapter names no backbone; an adapter's weights cannot tell whether 'backbone' is",
        ),
    ],
)
def test_an_adapter_that_names_another_backbone_is_told(make_published, tmp_path, name, written, note):
    source, backbone = make_published("qwen2_vl", "lora_adapter")
    set_config(source, base_model_name_or_path=name)
    sizes = {"num_hidden_layers": 8, **RESAMPLER}
    report = convert_checkpoint(source, tmp_path / "out", backbone=backbone, resampler=sizes)
    assert json.loads((tmp_path / "out" / "conversion.json").read_text())["adapter_backbone"] == written
    *notes, reader = report.notes
    assert reader == UNKNOWN
    assert len(notes) == (note is not None)
    assert all(re.match(note, told) for told in notes)


def test_a_backbone_from_the_hub_is_named_with_its_commit(make_published, tmp_path, monkeypatch):
    source, backbone = make_published("qwen2_vl")
    cached = tmp_path / "hub" / "models--some--backbone"
    shutil.copytree(backbone, cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    convert_checkpoint(source, tmp_path / "out", backbone="some/backbone", resampler=RESAMPLER)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["backbone_name_or_path"], config["backbone_revision"]) == ("some/backbone", COMMIT)
