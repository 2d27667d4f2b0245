"""Every published layout, file form and generation of key names gives the same converted checkpoint."""

import re

import pytest
import torch
from safetensors.torch import load_file

from comem_hf.conversion import convert_checkpoint
from tests.conversion.conftest import LAYOUTS, RESAMPLER, edit, rename, to_bin, to_shards


def modern(key: str) -> str:
    """A key as transformers 5 writes it."""
    key = re.sub(r"(^|model_inf\.|base_model\.model\.)visual\.", r"\1model.visual.", key)
    return re.sub(r"(^|model_inf\.|base_model\.model\.)model\.(?!visual|model)", r"\1model.language_model.", key)


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request) -> str:
    return request.param


@pytest.fixture(scope="module", params=["adapter", "separate"])
def encoder(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def expected(layout, encoder, make_published, tmp_path_factory) -> dict[str, torch.Tensor]:
    source, backbone = make_published("qwen2_5_vl", layout)
    output = tmp_path_factory.mktemp("converted") / "model"
    convert_checkpoint(source, output, backbone=backbone, encoder=encoder, resampler=RESAMPLER)
    return load_file(output / "model.safetensors")


FORMS = {
    "keys of transformers 5": lambda folder: edit(folder, rename(modern)),
    "shards": to_shards,
    ".bin": to_bin,
    ".bin shards": lambda folder: to_shards(folder, "bin"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_source_and_backbone_gives_the_same(form, layout, encoder, expected, make_published, tmp_path):
    if layout == "lora_adapter" and "shards" in next(name for name, make in FORMS.items() if make is form):
        form = to_bin  # PEFT writes no shards
    source, backbone = (form(folder) for folder in make_published("qwen2_5_vl", layout))
    convert_checkpoint(source, tmp_path / "model", backbone=backbone, encoder=encoder, resampler=RESAMPLER)
    given = load_file(tmp_path / "model" / "model.safetensors")
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[key], expected[key]) for key in expected)


def test_the_test_of_key_names_renames_as_transformers_5_does():
    assert modern("model.layers.0.mlp.up_proj.weight") == "model.language_model.layers.0.mlp.up_proj.weight"
    assert modern("model_inf.visual.merger.ln_q.weight") == "model_inf.model.visual.merger.ln_q.weight"
    assert modern("base_model.model.model.norm.weight") == "base_model.model.model.language_model.norm.weight"
    assert modern("knowledge_processor.latents") == "knowledge_processor.latents"
    assert modern("lm_head.weight") == "lm_head.weight"


def test_a_full_checkpoint_needs_no_backbone(make_published, tmp_path):
    source, _ = make_published("qwen2_vl")
    report = convert_checkpoint(source, tmp_path / "out", resampler=RESAMPLER)
    assert (report.layout, report.rank) == ("full merged", 4)
    assert (tmp_path / "out" / "generation_config.json").is_file()


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_other_layouts_are_refused_without_a_backbone(layout, make_published, tmp_path):
    source, _ = make_published("qwen2_vl", layout)
    with pytest.raises(ValueError, match=r"pass `backbone=` \(--backbone\), the model that it was trained from"):
        convert_checkpoint(source, tmp_path / "out", resampler=RESAMPLER)
    assert not any(tmp_path.iterdir())
