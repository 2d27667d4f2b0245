"""An adapter folder's factors are carried over exactly, whatever they are called; what cannot be is named."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from comem_hf.conversion import convert_checkpoint

from .conftest import RESAMPLER, edit, rename, save, to_bin, weights_file, without


ENCODER = "memory_encoder.model."
LAYER = "model.layers.0.mlp.up_proj"
HERE = "language_model.layers.0.mlp.up_proj"
WRAPPED = "base_model.model."


@pytest.fixture
def folders(make_published) -> tuple[Path, Path]:
    return make_published("qwen2_vl", "lora_adapter")


@pytest.fixture
def convert(folders, tmp_path):
    def convert(name: str = "model", **arguments) -> Path:
        source, backbone = folders
        output = tmp_path / name
        convert_checkpoint(source, output, **{"backbone": backbone, "resampler": RESAMPLER, **arguments})
        return output

    return convert


def set_config(folder: Path, **values):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def assert_equal(folder: Path, other: Path):
    ours, theirs = (load_file(path / "model.safetensors") for path in (folder, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_factors_and_settings_are_carried_exactly(folders, convert):
    factors = load_file(weights_file(folders[0]))
    output = convert()
    written = load_file(output / "model.safetensors")
    for half in "AB":
        ours, theirs = written[f"{ENCODER}{HERE}.lora_{half}.weight"], factors[f"{WRAPPED}{LAYER}.lora_{half}.weight"]
        assert torch.equal(ours, theirs)
    config = json.loads((output / "config.json").read_text())["lora_config"]
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (4, 8, 0.05)
    assert config["target_modules"] is None


@pytest.mark.parametrize("adapter", ["default", "memory"])
def test_keys_may_hold_the_adapters_name(adapter, folders, convert):
    plain = convert("plain")

    def named(key: str) -> str:
        key = key.replace("knowledge_processor.", f"knowledge_processor.modules_to_save.{adapter}.")
        return key.replace("lora_A.", f"lora_A.{adapter}.").replace("lora_B.", f"lora_B.{adapter}.")

    edit(folders[0], rename(named))
    assert_equal(convert("named"), plain)


def test_modules_to_save_may_come_without_the_adapters_name_and_beside_their_frozen_originals(folders, convert):
    plain = convert("plain")

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
    assert_equal(convert("saved"), plain)


@pytest.mark.parametrize("prefix", ["base_model.model.", ""])
def test_the_resampler_may_be_in_non_lora_state_dict(prefix, folders, convert):
    source, _ = folders
    plain = convert("plain")
    resampler = {k: v for k, v in load_file(weights_file(source)).items() if "knowledge_processor" in k}
    torch.save({prefix + k.removeprefix(WRAPPED): v for k, v in resampler.items()}, source / "non_lora_state_dict.bin")
    edit(source, without(f"{WRAPPED}knowledge_processor"))
    to_bin(source)
    assert_equal(convert("moved"), plain)


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_frozen_weights_in_non_lora_state_dict_are_those_of_the_backbone(encoder, folders, convert):
    # Published training saves everything that is no LoRA factor, and so the backbone twice.
    source, backbone = folders
    plain = convert("plain", encoder=encoder)
    weights = load_file(weights_file(backbone))
    frozen = {f"{WRAPPED}{k.replace('proj.weight', 'proj.base_layer.weight')}": v for k, v in weights.items()}
    frozen |= {f"{WRAPPED}model_inf.{k}": v for k, v in weights.items()}
    torch.save(frozen, source / "non_lora_state_dict.bin")
    assert_equal(convert("frozen", encoder=encoder), plain)


def test_a_weight_trained_as_a_whole_is_kept_by_separate_and_refused_by_adapter(folders, convert):
    source, backbone = folders
    trained = load_file(weights_file(backbone))["model.norm.weight"] + 1
    torch.save({f"{WRAPPED}model.norm.weight": trained}, source / "non_lora_state_dict.bin")
    with pytest.raises(ValueError, match="model.norm.weight in .* was trained, but is no linear layer's weight"):
        convert()
    written = load_file(convert(encoder="separate") / "model.safetensors")
    assert torch.equal(written[f"{ENCODER}language_model.norm.weight"], trained)


def test_a_frozen_copy_of_another_backbone_is_refused(folders, convert):
    source, backbone = folders
    norm = load_file(weights_file(backbone))["model.norm.weight"]
    torch.save({"model_inf.model.norm.weight": norm + 1}, source / "non_lora_state_dict.bin")
    with pytest.raises(ValueError, match="is not the one in .*: model.language_model.norm.weight differs"):
        convert()


def test_separate_weights_are_the_merged_ones(folders, convert, make_published):
    merged = load_file(weights_file(make_published("qwen2_vl")[0]))
    written = load_file(convert(encoder="separate") / "model.safetensors")
    torch.testing.assert_close(written[f"{ENCODER}{HERE}.weight"], merged[f"{LAYER}.weight"])
    assert torch.equal(written[f"{ENCODER}language_model.norm.weight"], merged["model.norm.weight"])


@pytest.mark.parametrize("use_rslora", [False, True])
def test_patterns_and_rslora_scale_each_layer_as_peft_does(use_rslora, folders, convert):
    source, _ = folders
    values = {"rank_pattern": {"layers.0.mlp.up_proj": 2}, "alpha_pattern": {"q_proj": 3, "visual.*fc1": 5}}
    set_config(source, use_rslora=use_rslora, **values)
    edit(source, lambda tensors: {k: cut(v, "A" in k) if f"{LAYER}." in k else v for k, v in tensors.items()})
    model = AutoModelForImageTextToText.from_pretrained(convert()).memory_encoder.model
    root = 2 if use_rslora else 4  # of, or, the rank 4
    assert scaling(model.language_model.layers[0].mlp.up_proj) == pytest.approx(8 / (2**0.5 if use_rslora else 2))
    assert scaling(model.language_model.layers[1].mlp.up_proj) == 8 / root
    assert scaling(model.language_model.layers[1].self_attn.q_proj) == 3 / root
    assert scaling(model.visual.blocks[1].mlp.fc1) == 5 / root

    merged = load_file(convert("separate", encoder="separate") / "model.safetensors")
    weight = model.language_model.layers[1].self_attn.q_proj
    ours = weight.base_layer.weight + weight.get_delta_weight("default")
    torch.testing.assert_close(ours, merged[f"{ENCODER}language_model.layers.1.self_attn.q_proj.weight"])


def cut(factor: torch.Tensor, is_a: bool) -> torch.Tensor:
    return factor[:2] if is_a else factor[:, :2]


def scaling(layer) -> float:
    return layer.scaling["default"]


def test_layers_without_factors_stay_without(folders, convert):
    edit(folders[0], lambda tensors: {k: v for k, v in tensors.items() if "lora" not in k or "q_proj" in k})
    output = convert()
    targets = json.loads((output / "config.json").read_text())["lora_config"]["target_modules"]
    assert targets == [f"language_model.layers.{number}.self_attn.q_proj" for number in (0, 1)]
    model, info = AutoModelForImageTextToText.from_pretrained(output, output_loading_info=True)
    assert not info["missing_keys"]
    assert not hasattr(model.memory_encoder.model.language_model.layers[0].mlp.up_proj, "lora_A")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"peft_type": "IA3"}, "an adapter of type 'IA3'"),
        ({"use_dora": True}, "`use_dora` = True"),
        ({"bias": "all"}, "`bias` = 'all'"),
        ({"layer_replication": [[0, 1]]}, "`layer_replication`"),
        ({"trainable_token_indices": [1]}, "`trainable_token_indices`"),
        ({"init_lora_weights": "pissa_niter_4"}, "`init_lora_weights` = 'pissa_niter_4', which changes the backbone"),
        ({"lora_alpha": None}, "adapter_config.json has no number under `lora_alpha`, got None"),
        ({"r": 8}, "has rank 4, but adapter_config.json says 8"),
    ],
)
def test_settings_that_change_what_factors_mean_are_refused_by_name(values, message, folders, convert):
    set_config(folders[0], **values)
    with pytest.raises(ValueError, match=message):
        convert()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lm_head.lora_A.weight", "adapts lm_head, which is no layer of the encoder"),
        ("model_inf.model.layers.0.mlp.up_proj.lora_A.weight", "adapts model_inf.* no layer of the encoder"),
        ("knowledge_processor.proj_in.lora_A.weight", "adapts knowledge_processor.proj_in"),
        ("model.embed_tokens.lora_embedding_A", "lora_embedding_A in .* no part of a plain LoRA layer"),
        (f"{LAYER}.lora_magnitude_vector.weight", "lora_magnitude_vector.weight in .* no part of a plain LoRA layer"),
        (
            "model.layers.9.mlp.up_proj.lora_A.weight",
            "adapts .*layers.9.mlp.up_proj, which is no linear layer of `back",
        ),
        (f"{LAYER}.lora_A.other.weight", "several adapters, \\['memory', 'other'\\]"),
        ("model.layers.9.mlp.up_proj.weight", "layers.9.mlp.up_proj.weight in .* is not in the backbone"),
    ],
)
def test_tensors_that_have_no_place_are_refused_by_name(key, message, folders, convert):
    both = {key: torch.ones(4, 64), key.replace("lora_A", "lora_B"): torch.ones(96, 4)}
    if "other" in key:
        edit(folders[0], rename(lambda key: key.replace("lora_A.", "lora_A.memory.")))
    edit(folders[0], lambda tensors: {**tensors, **{WRAPPED + name: tensor for name, tensor in both.items()}})
    with pytest.raises(ValueError, match=message):
        convert()


def test_a_factor_without_the_other_is_refused(folders, convert):
    edit(folders[0], without(f"{WRAPPED}{LAYER}.lora_B"))
    with pytest.raises(ValueError, match="up_proj.lora_A.weight in .* lacks its other factor"):
        convert()


def test_an_adapter_without_factors_is_refused(folders, convert):
    edit(folders[0], lambda tensors: {k: v for k, v in tensors.items() if "lora" not in k})
    with pytest.raises(ValueError, match="holds no LoRA factors"):
        convert()


def test_a_rank_is_for_merged_checkpoints(convert):
    with pytest.raises(ValueError, match="`rank` is for recovering an adapter from merged weights"):
        convert(rank=2)


def test_an_adapter_for_a_backbone_of_another_size_is_refused(folders, convert, tmp_path):
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
        convert()


def test_an_adapter_of_another_family_is_refused(convert, make_published):
    with pytest.raises(ValueError, match="which is no linear layer of `backbone`"):
        convert(backbone=make_published("qwen2_5_vl")[1])


def test_what_the_adapter_calls_its_backbone_does_not_matter(folders, convert):
    set_config(folders[0], base_model_name_or_path="/elsewhere/Qwen2-VL")
    convert()
