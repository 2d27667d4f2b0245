"""An adapter folder that is incomplete, contradicts itself or is more than LoRA is refused by name."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.conversion.conftest import edit, rename, set_config, weights_file, without


LAYER = "model.layers.0.mlp.up_proj"
WRAPPED = "base_model.model."


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"peft_type": "IA3"}, "an adapter of type 'IA3'"),
        ({"use_dora": True}, "`use_dora` = True"),
        ({"bias": "all"}, "`bias` = 'all'"),
        ({"layer_replication": [[0, 1]]}, "`layer_replication`"),
        ({"trainable_token_indices": [1]}, "`trainable_token_indices`"),
        ({"init_lora_weights": "pissa_niter_4"}, "`init_lora_weights` = 'pissa_niter_4', which changes the backbone"),
        ({"lora_alpha": None}, "adapter_config.json: lora_alpha must be a finite number other than 0, got None"),
        ({"lora_alpha": 0}, "adapter_config.json: lora_alpha must be a finite number other than 0, got 0"),
        ({"lora_alpha": float("nan")}, "lora_alpha must be a finite number other than 0, got nan"),
        ({"lora_alpha": float("inf")}, "lora_alpha must be a finite number other than 0, got inf"),
        ({"lora_alpha": "8"}, "lora_alpha must be a finite number other than 0, got '8'"),
        ({"r": 0}, "adapter_config.json: r must be a positive number, got 0"),
        ({"lora_dropout": 1.0}, r"adapter_config.json: lora_dropout must be a number in \[0, 1\), got 1.0"),
        ({"lora_dropout": float("nan")}, "lora_dropout must be .* got nan"),
        ({"lora_dropout": "x"}, "lora_dropout must be .* got 'x'"),
        ({"rank_pattern": [1]}, r"rank_pattern must map regular expressions to numbers, got \[1\]"),
        ({"rank_pattern": {"(": 4}}, "rank_pattern must map regular expressions to numbers"),
        ({"rank_pattern": {"up_proj": -1}}, r"rank_pattern\['up_proj'\] must be a positive number, got -1"),
        (
            {"alpha_pattern": {"up_proj": "x"}},
            r"alpha_pattern\['up_proj'\] must be a finite number other than 0, got 'x'",
        ),
        ({"alpha_pattern": {"up_proj": None}}, r"alpha_pattern\['up_proj'\] must be a finite number .* got None"),
        ({"r": 8}, "has rank 4, but adapter_config.json says 8"),
    ],
)
def test_settings_that_change_what_factors_mean_are_refused_by_name(values, message, folders, convert_peft):
    set_config(folders[0], **values)
    with pytest.raises(ValueError, match=message):
        convert_peft()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lm_head.lora_A.weight", "adapts lm_head, which is no layer of the encoder"),
        ("model_inf.lm_head.lora_A.weight", "adapts lm_head, which is no layer of the encoder"),
        (
            "model_inf.model.layers.9.mlp.up_proj.lora_A.weight",
            "adapts .*layers.9.mlp.up_proj, which is no linear layer of `back",
        ),
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
def test_tensors_that_have_no_place_are_refused_by_name(key, message, folders, convert_peft):
    both = {key: torch.ones(4, 64), key.replace("lora_A", "lora_B"): torch.ones(96, 4)}
    if "other" in key:
        edit(folders[0], rename(lambda key: key.replace("lora_A.", "lora_A.memory.")))
    edit(folders[0], lambda tensors: {**tensors, **{WRAPPED + name: tensor for name, tensor in both.items()}})
    with pytest.raises(ValueError, match=message):
        convert_peft()


def test_a_factor_without_the_other_is_refused(folders, convert_peft):
    edit(folders[0], without(f"{WRAPPED}{LAYER}.lora_B"))
    with pytest.raises(ValueError, match="up_proj.lora_A.weight in .* lacks its other factor"):
        convert_peft()


def test_an_adapter_without_factors_is_refused(folders, convert_peft):
    edit(folders[0], lambda tensors: {k: v for k, v in tensors.items() if "lora" not in k})
    with pytest.raises(ValueError, match="holds no LoRA factors"):
        convert_peft()


def test_a_rank_is_for_merged_checkpoints(convert_peft):
    with pytest.raises(ValueError, match="`rank` is for recovering an adapter from merged weights"):
        convert_peft(rank=2)


@pytest.mark.parametrize("name", ["up_proj", f"{LAYER}"])
def test_an_adapter_that_lost_a_layer_is_refused(name, folders, convert_peft):
    set_config(folders[0], target_modules=["q_proj", name])
    edit(folders[0], lambda tensors: {key: tensor for key, tensor in tensors.items() if f"{name}.lora" not in key})
    with pytest.raises(ValueError, match=f"source holds no factors for '{name}', which its adapter_config.json lists"):
        convert_peft()


def test_no_dropout_is_a_dropout_of_zero(folders, convert_peft):
    set_config(folders[0], lora_dropout=None)
    config = json.loads((convert_peft() / "config.json").read_text())
    assert config["lora_config"]["lora_dropout"] == 0.0


@pytest.mark.parametrize("where", ["modules_to_save", "non_lora_state_dict"])
def test_two_resamplers_are_refused_unless_they_agree(where, folders, convert_peft):
    source, _ = folders
    # Copies, not views of a file that is written over.
    resampler = {k: v.clone() for k, v in load_file(weights_file(source)).items() if "knowledge_processor" in k}

    def put(tensors):
        if where == "non_lora_state_dict":
            torch.save(tensors, source / "non_lora_state_dict.bin")
        else:
            other = {k.replace("processor.", "processor.modules_to_save.default."): v for k, v in tensors.items()}
            edit(source, lambda tensors: {**tensors, **other})

    put(resampler)
    convert_peft("agreeing")
    put({key: tensor + 1 for key, tensor in resampler.items()})
    with pytest.raises(ValueError, match="knowledge_processor.* in .* and .*knowledge_processor.* in .* but differ"):
        convert_peft("contradicting")


def test_one_layer_under_two_names_is_refused(folders, convert_peft):
    def twice(tensors):
        again = {k.replace("model.visual.", "model.model.visual."): v for k, v in tensors.items() if "visual" in k}
        return {**tensors, **again}

    edit(folders[0], twice)
    with pytest.raises(ValueError, match="visual.* and .*visual.* adapt the same layer; remove one"):
        convert_peft()
