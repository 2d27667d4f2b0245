"""Converted checkpoints reproduce the outputs of the published code, for both families and both encoder targets."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from comem_hf.conversion import convert_checkpoint


GOLDEN = Path(__file__).parent.parent / "golden"
RESAMPLER = {"num_attention_heads": 4, "head_dim": 16}
DECODE_OFFSETS = {"qwen2_vl": 4000, "qwen2_5_vl": 8000}
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=["adapter", "separate"])
def converted(request, family, make_backbone_folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("converted") / "model"
    report = convert_checkpoint(
        GOLDEN / family / "merged_full",
        output,
        backbone=make_backbone_folder(family),
        encoder=request.param,
        resampler=RESAMPLER,
    )
    return report, AutoModelForImageTextToText.from_pretrained(output)


@pytest.fixture(scope="module")
def golden(family) -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / family / "golden.safetensors")


@pytest.fixture
def model(converted):
    """The converted model, its per-call settings back at their converted values after each test."""
    model = converted[1]
    yield model
    model.config.memory_order, model.config.decode_position_offset = "reversed", None


@pytest.fixture(scope="module")
def memory_inputs(golden) -> dict[str, torch.Tensor]:
    prefix = "memory_"
    names = ("input_ids", "attention_mask", "pixel_values", "image_grid_thw")
    return {name: golden[prefix + name] for name in names}


@pytest.fixture(scope="module")
def image(golden) -> dict[str, torch.Tensor]:
    return {name: golden[name] for name in ("pixel_values", "image_grid_thw")}


def assert_close(ours: torch.Tensor, theirs: torch.Tensor):
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


def test_converted_settings_are_those_of_the_published_code(converted):
    report, model = converted
    assert model.config.query_vision == "encoder"
    assert model.config.memory_order == "reversed"
    assert not report.has_processor
    if model.config.encoder == "adapter":
        assert report.rank == 4
        assert 0 < report.max_error < 1e-6


@torch.no_grad()
def test_memory_vectors_match(model, golden, memory_inputs):
    assert (golden["memory_attention_mask"] == 0).any(), "the items should be padded"
    assert_close(model.encode_memory(memory_inputs), golden["memory_embeds"])


@torch.no_grad()
def test_training_logits_and_loss_match(model, golden, memory_inputs, image):
    model.config.memory_order = "given"
    names = ("input_ids", "attention_mask", "labels")
    output = model(**{name: golden[name] for name in names}, **image, memory_inputs=memory_inputs)
    assert_close(output.logits, golden["train_logits"])
    assert_close(output.loss[None], golden["train_loss"])


@torch.no_grad()
def test_prefill_logits_match_at_the_prompt(model, golden, memory_inputs, image):
    prompt = golden["prompt_ids"]
    output = model(input_ids=prompt, **image, memory_inputs=memory_inputs)
    assert_close(output.logits, golden["inference_prefill_logits"][:, -prompt.shape[1] :])


def test_greedy_tokens_and_decode_logits_match_with_the_published_position_offset(
    model, family, golden, memory_inputs, image
):
    model.config.decode_position_offset = DECODE_OFFSETS[family]
    model.generation_config.eos_token_id = None  # the published tokens go on after it
    prompt, tokens = golden["prompt_ids"], golden["official_greedy_tokens"]
    num_tokens = tokens.shape[1]
    output = model.generate(
        input_ids=prompt,
        **image,
        memory_inputs=memory_inputs,
        max_new_tokens=num_tokens + 1,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
    )
    assert output.sequences[:, prompt.shape[1] : -1].tolist() == tokens.tolist()
    # The prefill's logits come first; the published rows start after the first token.
    assert_close(torch.stack(output.logits[1:], dim=1), golden["official_decode_logits"])


@torch.no_grad()
def test_without_memory_the_published_backbone_answers(model, golden, image):
    names = ("input_ids", "attention_mask")
    token_types = (golden["input_ids"] == model.config.backbone_config.image_token_id).long()
    output = model(**{name: golden[name] for name in names}, **image, mm_token_type_ids=token_types)
    assert_close(output.logits, golden["backbone_logits_without_memory"])
