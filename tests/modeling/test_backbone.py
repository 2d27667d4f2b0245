"""Backbones that are not whole, and files that say too little: one sentence, nothing drawn at random, nothing run."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from comem_hf import CoMemForConditionalGeneration
from tests.conftest import make_backbone, make_model


LAYER = "layers.0.mlp.up_proj.weight"
KEY = f"model.language_model.{LAYER}"


@pytest.fixture
def backbone(family, tmp_path):
    """Folder of a backbone."""
    make_backbone(family).save_pretrained(tmp_path / "backbone")
    return tmp_path / "backbone"


@pytest.fixture
def memory_only(family, backbone, tmp_path):
    """Folder of a memory encoder on it that knows no checksum, so that only what is loaded can tell."""
    model = make_model(family)
    model.config.backbone_name_or_path = str(backbone)
    model.save_pretrained(tmp_path / "memory", memory_only=True)
    edit_json(tmp_path / "memory" / "config.json", backbone_checksum=None)
    return tmp_path / "memory"


def edit_json(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def edit_weights(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    save_file(edit(tensors), folder / "model.safetensors", metadata={"format": "pt"})


def loaders(memory_only, backbone):
    yield lambda **kwargs: CoMemForConditionalGeneration.from_backbone(str(backbone), backbone_kwargs=kwargs)
    yield lambda **kwargs: AutoModel.from_pretrained(memory_only, **kwargs)


def test_a_backbone_without_all_its_weights_is_refused(memory_only, backbone):
    edit_weights(
        backbone, lambda tensors: {name: value for name, value in tensors.items() if not name.endswith(LAYER)}
    )
    for load in loaders(memory_only, backbone):
        for dtype in ("float32", "float16"):
            with pytest.raises(ValueError, match=f"backbone lacks tensors, 1 in all, such as {KEY}"):
                load(dtype=dtype)


def test_a_backbone_with_a_weight_of_another_shape_is_refused(memory_only, backbone):
    def cut(tensors):
        return {name: value[:5].clone() if name.endswith(LAYER) else value for name, value in tensors.items()}

    edit_weights(backbone, cut)
    for load in loaders(memory_only, backbone):
        with pytest.raises(ValueError, match=rf"`{KEY}` in .*backbone has shape \(5, 64\), but this model needs"):
            load()


def test_a_backbone_whose_file_is_cut_off_is_named(memory_only, backbone):
    path = backbone / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    for load in loaders(memory_only, backbone):
        with pytest.raises(ValueError, match="model.safetensors in .*backbone is truncated or corrupt"):
            load()


def test_an_output_layer_that_is_tied_may_be_missing_from_the_file(family, tmp_path):
    make_backbone(family, tie_word_embeddings=True).save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", tie_word_embeddings=True)
    edit_weights(tmp_path, lambda tensors: {name: v for name, v in tensors.items() if not name.startswith("lm_head")})
    model = CoMemForConditionalGeneration.from_backbone(str(tmp_path))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_a_dtype_that_is_none_is_refused(backbone):
    with pytest.raises(ValueError, match="`dtype` must be 'auto' or .*, got 'float17'"):
        CoMemForConditionalGeneration.from_backbone(str(backbone), backbone_kwargs={"dtype": "float17"})


@pytest.mark.parametrize("kind", ["full", "memory-only"])
def test_a_configuration_without_its_backbones_is_refused_before_anything_is_made(family, tmp_path, kind):
    make_model(family).save_pretrained(tmp_path, memory_only=kind == "memory-only")
    edit_json(tmp_path / "config.json", backbone_config=None)
    with pytest.raises(ValueError, match="lacks `backbone_config`"):
        CoMemForConditionalGeneration.from_pretrained(tmp_path)


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_in_the_place_of_the_weights_is_not_touched(family, tmp_path):
    make_model(family).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({"harm": Harm(tmp_path / "harm")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="has no file model.safetensors"):
        CoMemForConditionalGeneration.from_pretrained(tmp_path)
    assert not (tmp_path / "harm").exists()
