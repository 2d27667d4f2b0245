"""A backbone in 4 or 8 bit, passed through to bitsandbytes, under a memory encoder in full precision."""

import pytest
import torch
from transformers import AutoModel, AutoModelForImageTextToText, BitsAndBytesConfig

from comem_hf import CoMemForConditionalGeneration
from tests.conftest import backbone_config


bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")

BITS = {
    "4": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32),
    "8": BitsAndBytesConfig(load_in_8bit=True),
}
LAYERS = {"4": bitsandbytes.nn.Linear4bit, "8": bitsandbytes.nn.Linear8bitLt}


@pytest.fixture(scope="module")
def model(family) -> CoMemForConditionalGeneration:
    """Layers of multiples of 64, as the kernels want them."""
    config = backbone_config(family, intermediate_size=128)
    sizes = {"embed_dim": 64} if family == "qwen2_vl" else {"hidden_size": 64, "intermediate_size": 128}
    for name, size in sizes.items():
        setattr(config.vision_config, name, size)
    torch.manual_seed(0)
    backbone = AutoModelForImageTextToText.from_config(config).eval()
    return CoMemForConditionalGeneration.from_backbone(backbone, lora_config={"r": 4})


@pytest.fixture(params=["full", "memory-only"])
def folder(request, model, tmp_path):
    model.backbone.save_pretrained(tmp_path / "backbone")
    model.config.backbone_name_or_path = str(tmp_path / "backbone")
    model.save_pretrained(tmp_path / "model", memory_only=request.param == "memory-only")
    model.config.backbone_name_or_path = None
    return tmp_path / "model"


@pytest.mark.parametrize("bits", BITS)
def test_a_quantized_backbone_is_shared_and_answers_nearly_the_same(model, folder, make_inputs, bits):
    loaded = AutoModel.from_pretrained(folder, quantization_config=BITS[bits])
    ours, theirs = (
        part.get_submodule("language_model.layers.0.mlp.up_proj")
        for part in (loaded.memory_encoder.model, loaded.backbone.model)
    )
    assert isinstance(theirs, LAYERS[bits])
    assert ours.base_layer is theirs
    inputs = make_inputs((2, 1))
    with torch.no_grad():
        exact, rounded = model.encode_memory(inputs["memory_inputs"]), loaded.encode_memory(inputs["memory_inputs"])
    assert rounded.dtype == torch.float32
    similarity = torch.cosine_similarity(exact.flatten(), rounded.flatten(), dim=0)
    assert 0.9 < similarity < 0.99999
    assert loaded.generate(**inputs, max_new_tokens=4, min_new_tokens=4).shape[1] == inputs["input_ids"].shape[1] + 4


@pytest.mark.parametrize("bits", BITS)
def test_the_memory_encoder_of_a_quantized_model_is_trained_and_saved_as_ever(
    model, folder, make_inputs, tmp_path, bits
):
    loaded = AutoModel.from_pretrained(folder, quantization_config=BITS[bits])
    loaded.save_pretrained(tmp_path / "again", memory_only=True)
    again = CoMemForConditionalGeneration.from_pretrained(tmp_path / "again", backbone=model.backbone)
    for name, tensor in model.memory_encoder_state_dict().items():
        assert torch.equal(again.memory_encoder_state_dict()[name], tensor), name
    inputs = make_inputs((2, 1))
    loaded(**inputs, labels=inputs["input_ids"]).loss.backward()
    with_gradient = {name for name, parameter in loaded.named_parameters() if parameter.grad is not None}
    assert with_gradient == {name for name, parameter in loaded.named_parameters() if parameter.requires_grad}
    assert all(name.startswith("memory_encoder.") for name in with_gradient)
