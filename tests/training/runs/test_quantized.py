"""Training on a backbone in 4 or 8 bit: saved as a memory-only checkpoint, resumed, and loaded again."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

from comem_hf import CoMemForConditionalGeneration
from comem_hf.training import MemoryCollator, train_memory_encoder
from tests.conftest import backbone_config
from tests.training.conftest import Interrupt, assert_equal, state_of


pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")

BITS = {
    "4": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32),
    "8": BitsAndBytesConfig(load_in_8bit=True),
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> Path:
    """The folder of a backbone whose layers are multiples of 64, as the kernels want them."""
    folder = tmp_path_factory.mktemp("backbone")
    config = backbone_config("qwen2_vl", intermediate_size=128)
    config.vision_config.embed_dim = 64
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(config).eval().save_pretrained(folder)
    return folder


@pytest.fixture
def make_quantized(backbone):
    """Makes an untrained model on the backbone in few bits, the same at every call."""

    def make(bits: str) -> CoMemForConditionalGeneration:
        torch.manual_seed(0)
        return CoMemForConditionalGeneration.from_backbone(
            str(backbone),
            backbone_kwargs={"quantization_config": BITS[bits]},
            lora_config={"r": 2, "lora_alpha": 4, "lora_dropout": 0.1},
        )

    return make


@pytest.mark.parametrize("bits", BITS)
def test_a_model_in_few_bits_is_trained_saved_and_loaded(bits, make_quantized, tiny_processor, rows, make_arguments):
    model, args = make_quantized(bits), make_arguments(save_strategy="no")
    before = state_of(model)
    assert train_memory_encoder(model, tiny_processor, rows, args).global_step == 4
    assert [name for name, tensor in state_of(model).items() if torch.equal(tensor, before[name])] == []
    loaded = CoMemForConditionalGeneration.from_pretrained(args.output_dir, quantization_config=BITS[bits])
    assert json.loads(Path(args.output_dir, "config.json").read_text())["memory_only"]
    assert_equal(state_of(loaded), state_of(model))
    batch = MemoryCollator(AutoProcessor.from_pretrained(args.output_dir))(rows)
    with torch.no_grad():
        torch.testing.assert_close(loaded.eval()(**batch).logits, model(**batch).logits, atol=1e-4, rtol=0)
    exact = CoMemForConditionalGeneration.from_pretrained(args.output_dir)  # on the backbone as it was before
    assert_equal(state_of(exact), state_of(model))


@pytest.mark.parametrize("step", [1, 3])  # before the first checkpoint, after it
def test_an_interrupted_run_in_4_bit_ends_like_an_undisturbed_one(
    step, make_quantized, tiny_processor, rows, make_arguments, tmp_path
):
    undisturbed = make_quantized("4")
    train_memory_encoder(undisturbed, tiny_processor, rows, make_arguments(output_dir=str(tmp_path / "other")))
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(make_quantized("4"), tiny_processor, rows, make_arguments(), callbacks=[Interrupt(step)])
    resumed = make_quantized("4")
    train_memory_encoder(resumed, tiny_processor, rows, make_arguments())
    assert_equal(state_of(resumed), state_of(undisturbed))


def test_mixed_precision_on_a_backbone_in_4_bit(make_quantized, tiny_processor, rows, make_arguments):
    model, args = make_quantized("4"), make_arguments(bf16=True)
    train_memory_encoder(model, tiny_processor, rows, args)
    assert {tensor.dtype for tensor in state_of(model).values()} == {model.backbone.dtype}
    batch = MemoryCollator(tiny_processor)(rows)
    del batch["labels"]
    assert model.generate(**batch, max_new_tokens=2).shape[0] == len(rows)
