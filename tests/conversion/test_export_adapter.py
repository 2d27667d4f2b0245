"""The adapter goes out as a PEFT folder."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

# Under its short name the class asks for torchvision in early versions of transformers 5.
from comem_hf.conversion import export_adapter
from tests.conftest import make_backbone, make_model
from tests.conversion.conftest import hidden_states


# Loading into a plain backbone is PEFT's code, not ours, and so are its deprecations.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


def test_an_exported_adapter_gives_the_same_hidden_states_on_the_plain_backbone(family, items, tmp_path):
    lora = {"r": 4, "lora_alpha": 8, "rank_pattern": {"k_proj": 2}, "alpha_pattern": {"visual.*qkv": 3}}
    model = make_model(family, lora_config=lora)
    model.config.backbone_name_or_path, model.config.backbone_revision = "someone/backbone", "0123abc"
    assert export_adapter(model, tmp_path / "adapter") == tmp_path / "adapter"
    plain = PeftModel.from_pretrained(make_backbone(family), tmp_path / "adapter")
    expected = hidden_states(model.memory_encoder.model, items)
    assert torch.allclose(hidden_states(plain.base_model.model.model, items), expected, atol=1e-5)

    ours = {f"{name}.lora_A" for name in model.memory_encoder.adapter.scales}
    theirs = {name for name, _ in plain.base_model.model.model.named_modules() if name.endswith("lora_A")}
    assert ours == theirs
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("someone/backbone", "0123abc")
    assert not [key for key in load_file(tmp_path / "adapter" / "adapter_model.safetensors") if "resampler" in key]


def test_an_adapter_of_some_layers_is_exported_for_those_alone(family, items, tmp_path):
    model = make_model(family, lora_config={"r": 2, "target_modules": r"language_model\.layers\.1\..*_proj"})
    export_adapter(model, tmp_path / "adapter")
    plain = PeftModel.from_pretrained(make_backbone(family), tmp_path / "adapter")
    adapted = [name for name, _ in plain.named_modules() if name.endswith("lora_A")]
    assert len(adapted) == 7
    assert all(".language_model.layers.1." in name for name in adapted)


def test_an_encoder_with_weights_of_its_own_has_no_adapter_to_export(tmp_path):
    with pytest.raises(ValueError, match="Only a model with `encoder='adapter'` has an adapter.*merge it instead"):
        export_adapter(make_model(encoder="separate"), tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()
