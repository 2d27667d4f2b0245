"""A memory encoder goes on the backbone it was made for, in any type, and where that cannot be told it is said."""

import json

import pytest
import torch
from transformers import AutoModel, AutoModelForImageTextToText
from transformers.utils import logging

from comem_hf import CoMemForConditionalGeneration
from comem_hf.modeling.fingerprint_comem import backbone_checksum
from tests.conftest import make_backbone, make_model


DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def published(dtype: torch.dtype, seed: int = 0):
    """A backbone whose weights are those of a publication in `dtype`, some of them too small for float16."""
    backbone = make_backbone(seed=seed)
    with torch.no_grad():
        backbone.lm_head.weight[0].mul_(1e-6)
    return backbone.to(dtype).float()


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    heard = []
    for name in ("checkpoint_comem", "loading_checks_comem"):
        monkeypatch.setattr(logging.get_logger(f"comem_hf.modeling.{name}"), "warning", heard.append)
    return heard


@pytest.mark.parametrize("saved", DTYPES)
@pytest.mark.parametrize("loaded", DTYPES)
def test_a_backbone_published_in_bfloat16_is_known_in_any_type_and_another_refused(tmp_path, warnings, saved, loaded):
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for folder, seed in ((right, 0), (wrong, 7)):
        published(torch.bfloat16, seed).to(torch.bfloat16).save_pretrained(folder)
    model = CoMemForConditionalGeneration.from_backbone(str(right), backbone_kwargs={"dtype": saved})
    model.save_pretrained(tmp_path / "memory", memory_only=True)
    assert AutoModel.from_pretrained(tmp_path / "memory", dtype=loaded).dtype == loaded
    with pytest.raises(ValueError, match=r"a backbone with the checksum \w{64}, but .* `backbone` have \w{64}"):
        AutoModel.from_pretrained(tmp_path / "memory", backbone=str(wrong), dtype=loaded)
    assert not warnings


def test_one_changed_weight_changes_the_checksum_in_any_type():
    for dtype in DTYPES:
        backbone = published(torch.bfloat16).to(dtype)
        before = backbone_checksum(backbone)
        with torch.no_grad():
            backbone.lm_head.weight[3, 3] += 1
        assert backbone_checksum(backbone) != before


def test_a_backbone_rounded_from_float32_to_float16_is_neither_known_nor_refused_but_warned_of(tmp_path, warnings):
    published(torch.float32).save_pretrained(tmp_path / "backbone")
    load = AutoModelForImageTextToText.from_pretrained
    exact, bfloat16, float16 = (load(tmp_path / "backbone", dtype=dtype) for dtype in DTYPES)
    assert backbone_checksum(bfloat16) == backbone_checksum(exact)
    assert backbone_checksum(float16) is None

    CoMemForConditionalGeneration.from_backbone(exact).save_pretrained(tmp_path / "memory", memory_only=True)
    CoMemForConditionalGeneration.from_pretrained(tmp_path / "memory", backbone=bfloat16)
    assert not warnings
    CoMemForConditionalGeneration.from_pretrained(tmp_path / "memory", backbone=float16)
    assert "made for this backbone: there is no checksum of weights that are quantized, or in float16" in warnings[0]


def test_saving_without_a_checksum_and_loading_what_has_none_come_with_a_warning(tmp_path, warnings):
    model = make_model().to(torch.float16)
    model.config.backbone_name_or_path = "someone/backbone"
    model.save_pretrained(tmp_path, memory_only=True)
    assert len(warnings) == 1
    assert "will be loaded onto any backbone of the same shape" in warnings[0]
    assert json.loads((tmp_path / "config.json").read_text())["backbone_checksum"] is None
    CoMemForConditionalGeneration.from_pretrained(tmp_path, backbone=make_backbone(seed=7))
    assert "made for this backbone: it was saved without a checksum" in warnings[1]
    model.save_pretrained(tmp_path / "full")
    assert len(warnings) == 2


def test_what_was_expected_of_a_backbone_outlasts_a_type_that_cannot_be_checked(tmp_path, warnings):
    backbone = published(torch.float32)
    CoMemForConditionalGeneration.from_backbone(backbone).save_pretrained(tmp_path / "first", memory_only=True)
    load = CoMemForConditionalGeneration.from_pretrained
    load(tmp_path / "first", backbone=published(torch.float32).half()).save_pretrained(
        tmp_path / "second", memory_only=True
    )
    load(tmp_path / "second", backbone=backbone)
    with pytest.raises(ValueError, match="made for a backbone with the checksum"):
        load(tmp_path / "second", backbone=published(torch.float32, seed=7))
