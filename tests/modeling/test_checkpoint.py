"""What is saved is what is loaded, under names that do not depend on PEFT, and nothing is filled in silently."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForImageTextToText

from comem_hf import CoMemForConditionalGeneration
from tests.conftest import make_backbone, make_model, shares_weights


@pytest.fixture(scope="module", params=["adapter", "separate"])
def model(request, family):
    return make_model(family, encoder=request.param)


@torch.no_grad()
def logits(model, make_inputs) -> torch.Tensor:
    return model(**make_inputs((2, 1))).logits


def edit(folder, change):
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("auto", [AutoModel, AutoModelForImageTextToText, CoMemForConditionalGeneration])
def test_a_loaded_model_gives_the_same_logits(model, make_inputs, tmp_path, auto):
    model.save_pretrained(tmp_path)
    loaded = auto.from_pretrained(tmp_path)
    assert isinstance(loaded, CoMemForConditionalGeneration)
    assert torch.equal(logits(loaded, make_inputs), logits(model, make_inputs))
    assert loaded.num_parameters(only_trainable=True) == model.num_parameters(only_trainable=True)
    assert loaded.memory_fingerprint() == model.memory_fingerprint()
    assert not loaded.training


def test_saving_a_loaded_model_again_writes_the_same_names(model, tmp_path):
    model.save_pretrained(tmp_path / "first")
    AutoModel.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_names_are_free_of_peft_and_weights_are_written_once(family, tmp_path):
    model = make_model(family)
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    assert not [key for key in tensors if "base_layer" in key or ".default" in key]
    assert "memory_encoder.model.language_model.layers.0.self_attn.q_proj.lora_A.weight" in tensors
    assert "memory_encoder.resampler.queries.weight" in tensors
    assert {key for key in tensors if not key.startswith("memory_encoder.")} == {
        f"backbone.{key}" for key in model.backbone.state_dict()
    }
    assert sum(tensor.numel() for tensor in tensors.values()) == model.num_parameters()


@pytest.mark.parametrize("value", [True, False])
def test_the_format_that_transformers_saves_in_by_default_may_be_asked_for(model, tmp_path, value):
    model.save_pretrained(tmp_path, save_original_format=value)
    loaded = CoMemForConditionalGeneration.from_pretrained(tmp_path)
    assert loaded.state_dict().keys() == model.state_dict().keys()


def test_a_loaded_adapter_shares_the_backbones_weights(family, tmp_path):
    make_model(family).save_pretrained(tmp_path)
    for load in ({}, {"dtype": torch.bfloat16}):
        model = AutoModel.from_pretrained(tmp_path, **load)
        for name, parameter in model.backbone.model.named_parameters():
            module, _, leaf = name.rpartition(".")
            module = model.memory_encoder.model.get_submodule(module)
            assert getattr(getattr(module, "base_layer", module), leaf) is parameter, name


def test_weights_stay_shared_when_the_model_is_cast(family, make_inputs):
    model = make_model(family).double().float()
    assert model.num_parameters() == make_model(family).num_parameters()
    before = logits(model, make_inputs)
    with torch.no_grad():
        model.backbone.model.language_model.layers[0].self_attn.q_proj.weight.mul_(2)
    weight = model.memory_encoder.model.language_model.layers[0].self_attn.q_proj.base_layer.weight
    assert weight is model.backbone.model.language_model.layers[0].self_attn.q_proj.weight
    assert not torch.equal(logits(model, make_inputs), before)


def test_tied_word_embeddings_stay_tied(make_inputs, tmp_path):
    backbone = make_backbone()
    backbone.config.tie_word_embeddings = True
    backbone.tie_weights()
    model = CoMemForConditionalGeneration.from_backbone(backbone, lora_config={"r": 2}).eval()
    model.save_pretrained(tmp_path)
    assert "backbone.lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    loaded = AutoModel.from_pretrained(tmp_path)
    embeddings = loaded.backbone.model.language_model.embed_tokens.weight
    assert loaded.backbone.lm_head.weight is embeddings
    assert loaded.memory_encoder.model.language_model.embed_tokens.weight is embeddings
    assert torch.equal(logits(loaded, make_inputs), logits(model, make_inputs))


@pytest.mark.parametrize("size", [280, 264], ids=["more", "fewer"])
def test_a_vocabulary_of_another_size_is_read_by_the_encoder_and_saved(model, make_inputs, tmp_path, size):
    model = make_model(model.config.backbone_config.model_type, encoder=model.config.encoder)
    before = logits(model, make_inputs)[..., : min(size, 272)]
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.resize_token_embeddings(size)
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == trainable
    assert torch.equal(logits(model, make_inputs)[..., : min(size, 272)], before)
    assert shares_weights(model)
    ours, theirs = model.memory_encoder.model.get_input_embeddings(), model.get_input_embeddings()
    assert torch.equal(ours.weight, theirs.weight)
    assert (ours.weight is theirs.weight) == (model.config.encoder == "adapter")

    inputs = make_inputs((2, 1))
    items = inputs["memory_inputs"]
    items["input_ids"][0, -1] = size - 1
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded.encode_memory(items), model.encode_memory(items))
        assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)


def test_a_model_saved_in_bfloat16_loads_in_bfloat16_or_as_asked(model, make_inputs, tmp_path):
    saved = make_model(model.config.backbone_config.model_type, encoder=model.config.encoder).to(torch.bfloat16)
    saved.save_pretrained(tmp_path)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.bfloat16}
    loaded = AutoModel.from_pretrained(tmp_path)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    for (name, ours), theirs in zip(loaded.named_parameters(), saved.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    assert logits(loaded, make_inputs).dtype == torch.bfloat16
    wide = AutoModel.from_pretrained(tmp_path, dtype=torch.float32)
    assert {parameter.dtype for parameter in wide.parameters()} == {torch.float32}
    assert torch.equal(wide.backbone.lm_head.weight.bfloat16(), saved.backbone.lm_head.weight)


def test_a_sharded_checkpoint_loads(model, make_inputs, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="200KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert torch.equal(logits(AutoModel.from_pretrained(tmp_path), make_inputs), logits(model, make_inputs))


def test_a_memory_only_checkpoint_needs_its_backbone_and_gives_the_same_logits(model, make_inputs, tmp_path):
    backbone, memory = tmp_path / "backbone", tmp_path / "memory"
    model.backbone.save_pretrained(backbone)
    model.save_pretrained(memory, memory_only=True)
    keys = set(load_file(memory / "model.safetensors"))
    assert keys == set(model.memory_encoder_state_dict())
    assert json.loads((memory / "config.json").read_text())["memory_only"] is True

    expected = logits(model, make_inputs)
    with pytest.raises(ValueError, match="its configuration names no backbone; pass `backbone=`"):
        AutoModel.from_pretrained(memory)
    for given in (model.backbone, backbone, str(backbone)):
        loaded = CoMemForConditionalGeneration.from_pretrained(memory, backbone=given)
        assert torch.equal(logits(loaded, make_inputs), expected)
        assert loaded.config.memory_only is model.config.memory_only is False
    model.config.backbone_name_or_path = str(backbone)
    model.save_pretrained(memory, memory_only=True, max_shard_size="100KB")
    model.config.backbone_name_or_path = None
    assert torch.equal(logits(AutoModel.from_pretrained(memory), make_inputs), expected)


def test_a_backbone_of_another_shape_is_refused(family, tmp_path):
    make_model(family).save_pretrained(tmp_path, memory_only=True)
    with pytest.raises(
        ValueError, match=r"another backbone: in the given backbone, text_config.num_hidden_layers is 3, not 2\."
    ):
        CoMemForConditionalGeneration.from_pretrained(tmp_path, backbone=make_backbone(family, num_hidden_layers=3))


def test_a_backbone_of_other_weights_is_refused_in_any_dtype(family, tmp_path):
    make_model(family).save_pretrained(tmp_path, memory_only=True)
    for dtype in (torch.float32, torch.bfloat16):
        backbone = make_backbone(family).to(dtype)
        loaded = CoMemForConditionalGeneration.from_pretrained(tmp_path, backbone=backbone)
        assert loaded.backbone is backbone
        with pytest.raises(ValueError, match=r"a backbone with the checksum \w{64}, but .* `backbone` have \w{64}"):
            CoMemForConditionalGeneration.from_pretrained(tmp_path, backbone=make_backbone(family, seed=7).to(dtype))


@pytest.mark.parametrize(
    "key",
    [
        "memory_encoder.resampler.queries.weight",
        "memory_encoder.resampler.layers.0.attention.q_proj.weight",
        "backbone.model.visual.patch_embed.proj.weight",
        "backbone.lm_head.weight",
    ],
)
def test_a_missing_tensor_is_an_error(model, tmp_path, key):
    model.save_pretrained(tmp_path)
    edit(tmp_path, lambda tensors: {name: tensor for name, tensor in tensors.items() if name != key})
    with pytest.raises(ValueError, match=f"lacks tensors, 1 in all, such as {key}"):
        AutoModel.from_pretrained(tmp_path)


def test_a_missing_adapter_is_an_error(family, tmp_path):
    make_model(family).save_pretrained(tmp_path)
    edit(tmp_path, lambda tensors: {name: tensor for name, tensor in tensors.items() if "lora_A" not in name})
    with pytest.raises(ValueError, match="lacks tensors.*lora_A"):
        AutoModel.from_pretrained(tmp_path)


def test_an_unknown_tensor_is_an_error(model, tmp_path):
    model.save_pretrained(tmp_path)
    edit(tmp_path, lambda tensors: {**tensors, "memory_encoder.resampler.latents": torch.zeros(1)})
    with pytest.raises(ValueError, match="has unknown tensors, 1 in all, such as memory_encoder.resampler.latents"):
        AutoModel.from_pretrained(tmp_path)


def test_loading_a_memory_encoder_into_a_model_is_strict(family):
    model, other = make_model(family), make_model(family, seed=5)
    other.load_memory_encoder(model.memory_encoder_state_dict())
    for name, tensor in model.memory_encoder_state_dict().items():
        assert torch.equal(other.memory_encoder_state_dict()[name], tensor)
    state_dict = model.memory_encoder_state_dict()
    state_dict["memory_encoder.resampler.norm.weight"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"norm.weight` in the given state dict has shape \(3,\)"):
        other.load_memory_encoder(state_dict)


def test_a_plain_backbone_is_refused_with_the_way_out(family, tmp_path):
    make_backbone(family).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"holds a model of type '{family}'.*from_backbone"):
        CoMemForConditionalGeneration.from_pretrained(tmp_path)
    loaded = CoMemForConditionalGeneration.from_backbone(str(tmp_path))
    assert loaded.config.backbone_name_or_path == str(tmp_path)


def test_building_on_a_loaded_backbone_copies_no_weights(family):
    backbone = make_backbone(family)
    model = CoMemForConditionalGeneration.from_backbone(backbone)
    assert model.backbone is backbone
    assert model.config.backbone_config is backbone.config


def test_untrained_memory_vectors_are_as_large_as_token_embeddings(family, make_inputs):
    model = CoMemForConditionalGeneration.from_backbone(make_backbone(family)).eval()
    with torch.no_grad():
        vectors = model.encode_memory(make_inputs((3,))["memory_inputs"])
    embeddings = model.get_input_embeddings().weight
    ratio = vectors.norm(dim=-1).mean() / embeddings.norm(dim=-1).mean()
    assert 0.7 < ratio < 1.4


def test_the_fingerprint_follows_what_decides_the_memory_and_nothing_else(family):
    model = make_model(family)
    fingerprint = model.memory_fingerprint()
    assert model.to(torch.bfloat16).memory_fingerprint() == fingerprint
    model.config.memory_order = "reversed"
    with torch.no_grad():
        model.backbone.lm_head.weight.mul_(2)
    assert model.memory_fingerprint() == fingerprint
    for parameter in (
        model.memory_encoder.resampler.queries.weight,
        model.backbone.model.language_model.embed_tokens.weight,
        next(p for name, p in model.memory_encoder_parameters().items() if name.endswith("/A")),
    ):
        with torch.no_grad():
            parameter.mul_(2)
        assert model.memory_fingerprint() != fingerprint
        with torch.no_grad():
            parameter.div_(2)
    assert model.memory_fingerprint() == fingerprint


def test_the_fingerprint_follows_settings_that_no_weight_shows(family):
    model = make_model(family)
    text, vision = model.config.get_text_config(), model.config.backbone_config.vision_config
    fingerprints = {model.memory_fingerprint()}
    changes = [(text, "hidden_act", "gelu"), (vision, "hidden_act", "relu"), (text, "sliding_window", 8)]
    changes += [(text, "rope_parameters", {**text.rope_parameters, "rope_type": "linear", "factor": 2.0})]
    if family == "qwen2_5_vl":
        changes += [(vision, "window_size", 112), (vision, "fullatt_block_indexes", [0])]
    for config, name, value in changes:
        setattr(config, name, value)
        fingerprints.add(model.memory_fingerprint())
    assert len(fingerprints) == len(changes) + 1
