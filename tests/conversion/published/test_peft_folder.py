"""An adapter folder's factors are carried over exactly, whatever they are called; what cannot be is named."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from tests.conversion.conftest import edit, rename, save, set_config, to_bin, weights_file, without


ENCODER = "memory_encoder.model."
LAYER = "model.layers.0.mlp.up_proj"
HERE = "language_model.layers.0.mlp.up_proj"
WRAPPED = "base_model.model."


def assert_equal(folder: Path, other: Path):
    ours, theirs = (load_file(path / "model.safetensors") for path in (folder, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_factors_and_settings_are_carried_exactly(folders, convert_peft):
    factors = load_file(weights_file(folders[0]))
    output = convert_peft()
    written = load_file(output / "model.safetensors")
    for half in "AB":
        ours, theirs = written[f"{ENCODER}{HERE}.lora_{half}.weight"], factors[f"{WRAPPED}{LAYER}.lora_{half}.weight"]
        assert torch.equal(ours, theirs)
    config = json.loads((output / "config.json").read_text())["lora_config"]
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (4, 8, 0.05)
    assert config["target_modules"] is None


@pytest.mark.parametrize("adapter", ["default", "memory"])
def test_keys_may_hold_the_adapters_name(adapter, folders, convert_peft):
    plain = convert_peft("plain")

    def named(key: str) -> str:
        key = key.replace("knowledge_processor.", f"knowledge_processor.modules_to_save.{adapter}.")
        return key.replace("lora_A.", f"lora_A.{adapter}.").replace("lora_B.", f"lora_B.{adapter}.")

    edit(folders[0], rename(named))
    assert_equal(convert_peft("named"), plain)


def test_modules_to_save_may_come_without_the_adapters_name_and_beside_their_frozen_originals(folders, convert_peft):
    plain = convert_peft("plain")

    def both(tensors):
        tensors = rename(lambda key: key.replace("knowledge_processor.", "knowledge_processor.modules_to_save."))(
            tensors
        )
        originals = {
            key.replace("modules_to_save", "original_module"): tensor + 1
            for key, tensor in tensors.items()
            if "modules_to_save" in key
        }
        return {**tensors, **originals}

    edit(folders[0], both)
    assert_equal(convert_peft("saved"), plain)


@pytest.mark.parametrize("prefix", ["base_model.model.", ""])
def test_the_resampler_may_be_in_non_lora_state_dict(prefix, folders, convert_peft):
    source, _ = folders
    plain = convert_peft("plain")
    resampler = {k: v for k, v in load_file(weights_file(source)).items() if "knowledge_processor" in k}
    torch.save({prefix + k.removeprefix(WRAPPED): v for k, v in resampler.items()}, source / "non_lora_state_dict.bin")
    edit(source, without(f"{WRAPPED}knowledge_processor"))
    to_bin(source)
    assert_equal(convert_peft("moved"), plain)


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_frozen_weights_in_non_lora_state_dict_are_those_of_the_backbone(encoder, folders, convert_peft):
    # Published training saves everything that is no LoRA factor, and so the backbone twice.
    source, backbone = folders
    plain = convert_peft("plain", encoder=encoder)
    weights = load_file(weights_file(backbone))
    frozen = {f"{WRAPPED}{k.replace('proj.weight', 'proj.base_layer.weight')}": v for k, v in weights.items()}
    frozen |= {f"{WRAPPED}model_inf.{k}": v for k, v in weights.items()}
    torch.save(frozen, source / "non_lora_state_dict.bin")
    assert_equal(convert_peft("frozen", encoder=encoder), plain)


def test_a_weight_trained_as_a_whole_is_kept_by_separate_and_refused_by_adapter(folders, convert_peft):
    source, backbone = folders
    trained = load_file(weights_file(backbone))["model.norm.weight"] + 1
    torch.save({f"{WRAPPED}model.norm.weight": trained}, source / "non_lora_state_dict.bin")
    with pytest.raises(ValueError, match="model.norm.weight in .* was trained, but is no linear layer's weight"):
        convert_peft()
    written = load_file(convert_peft(encoder="separate") / "model.safetensors")
    assert torch.equal(written[f"{ENCODER}language_model.norm.weight"], trained)


def test_a_frozen_copy_of_another_backbone_is_refused(folders, convert_peft):
    source, backbone = folders
    norm = load_file(weights_file(backbone))["model.norm.weight"]
    torch.save({"model_inf.model.norm.weight": norm + 1}, source / "non_lora_state_dict.bin")
    with pytest.raises(ValueError, match="is not the one in .*: model.language_model.norm.weight differs"):
        convert_peft()


def test_separate_weights_are_the_merged_ones(folders, convert_peft, make_published):
    merged = load_file(weights_file(make_published("qwen2_vl")[0]))
    written = load_file(convert_peft(encoder="separate") / "model.safetensors")
    torch.testing.assert_close(written[f"{ENCODER}{HERE}.weight"], merged[f"{LAYER}.weight"])
    assert torch.equal(written[f"{ENCODER}language_model.norm.weight"], merged["model.norm.weight"])


@pytest.mark.parametrize("use_rslora", [False, True])
def test_patterns_and_rslora_scale_each_layer_as_peft_does(use_rslora, folders, convert_peft):
    source, _ = folders
    values = {"rank_pattern": {"layers.0.mlp.up_proj": 2}, "alpha_pattern": {"q_proj": 3, "visual.*fc1": 5}}
    set_config(source, use_rslora=use_rslora, **values)
    edit(source, lambda tensors: {k: cut(v, "A" in k) if f"{LAYER}." in k else v for k, v in tensors.items()})
    encoder = AutoModelForImageTextToText.from_pretrained(convert_peft()).memory_encoder
    scales = encoder.adapter.scales
    root = 2 if use_rslora else 4  # of, or, the rank 4
    assert scales["language_model.layers.0.mlp.up_proj"] == pytest.approx(8 / (2**0.5 if use_rslora else 2))
    assert scales["language_model.layers.1.mlp.up_proj"] == 8 / root
    assert scales["language_model.layers.1.self_attn.q_proj"] == 3 / root
    assert scales["visual.blocks.1.mlp.fc1"] == 5 / root

    merged = load_file(convert_peft("separate", encoder="separate") / "model.safetensors")
    layer = encoder.model.language_model.layers[1].self_attn.q_proj
    ours = layer.base_layer.weight + encoder.adapter.change("language_model.layers.1.self_attn.q_proj")
    torch.testing.assert_close(ours, merged[f"{ENCODER}language_model.layers.1.self_attn.q_proj.weight"])


def cut(factor: torch.Tensor, is_a: bool) -> torch.Tensor:
    return factor[:2] if is_a else factor[:, :2]


def test_layers_without_factors_stay_without(folders, convert_peft):
    edit(folders[0], lambda tensors: {k: v for k, v in tensors.items() if "lora" not in k or "q_proj" in k})
    set_config(folders[0], target_modules=["q_proj"])
    output = convert_peft()
    targets = json.loads((output / "config.json").read_text())["lora_config"]["target_modules"]
    assert targets == [f"language_model.layers.{number}.self_attn.q_proj" for number in (0, 1)]
    model, info = AutoModelForImageTextToText.from_pretrained(output, output_loading_info=True)
    assert not info["missing_keys"]
    assert not hasattr(model.memory_encoder.model.language_model.layers[0].mlp.up_proj, "lora_A")


def test_an_adapter_for_a_backbone_of_another_size_is_refused(folders, convert_peft, tmp_path):
    source, backbone = folders
    path = backbone / "config.json"
    config = json.loads(path.read_text()) | {"intermediate_size": 112}
    path.write_text(json.dumps(config))
    wider = {"gate_proj": (112, 64), "up_proj": (112, 64), "down_proj": (64, 112)}

    def widen(tensors):
        shapes = {key: shape for key in tensors for name, shape in wider.items() if "layers" in key and name in key}
        return {key: torch.ones(shapes[key]) if key in shapes else tensor for key, tensor in tensors.items()}

    save(backbone / "model.safetensors", widen(load_file(backbone / "model.safetensors")))
    with pytest.raises(ValueError, match=r"of shape \(64, 96\), but that of `backbone` has \(64, 112\)"):
        convert_peft()


def test_an_adapter_of_another_family_is_refused(convert_peft, make_published):
    with pytest.raises(ValueError, match="which is no linear layer of `backbone`"):
        convert_peft(backbone=make_published("qwen2_5_vl")[1])


def test_what_the_adapter_calls_its_backbone_does_not_matter(folders, convert_peft):
    set_config(folders[0], base_model_name_or_path="/elsewhere/Qwen2-VL")
    convert_peft()
