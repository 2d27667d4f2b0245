"""Converted checkpoints reproduce the outputs of the published code, for all layouts, both families and both targets.

The same from sources rounded to bfloat16: there, a `separate` conversion keeps the rounded weights as they are, so
that how far it is from the golden outputs is the rounding's own doing. An adapter may be no farther than 1.5 times
that.
"""

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from comem_hf.conversion import convert_checkpoint
from tests.conversion.conftest import GOLDEN, LAYOUTS, RESAMPLER


DECODE_OFFSETS = {"qwen2_vl": 4000, "qwen2_5_vl": 8000}
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request) -> str:
    return request.param


@pytest.fixture(scope="module", params=["adapter", "separate"])
def converted(request, family, layout, make_published, tmp_path_factory):
    source, backbone = make_published(family, layout)
    output = tmp_path_factory.mktemp("converted") / "model"
    report = convert_checkpoint(source, output, backbone=backbone, encoder=request.param, resampler=RESAMPLER)
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


def assert_close(ours: torch.Tensor, theirs: torch.Tensor):
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


def test_converted_settings_are_those_of_the_published_code(converted, layout):
    report, model = converted
    assert model.config.query_vision == "encoder"
    assert model.config.memory_order == "reversed"
    assert not report.has_processor
    assert report.layout.replace(" ", "_") in (layout, "full_merged", "adapter")
    if model.config.encoder == "adapter":
        assert report.rank == 4
        assert report.max_error == 0 if layout == "lora_adapter" else 0 < report.max_error < 1e-6


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


@torch.no_grad()
def test_sources_rounded_to_bfloat16_match_within_the_rounding(
    family, layout, make_published, golden, memory_inputs, image, tmp_path
):
    source, backbone = make_published(family, layout, torch.bfloat16)
    names = ("input_ids", "attention_mask")
    distances = {}
    for encoder in ("separate", "adapter"):
        report = convert_checkpoint(
            source, tmp_path / encoder, backbone=backbone, encoder=encoder, resampler=RESAMPLER
        )
        model = AutoModelForImageTextToText.from_pretrained(tmp_path / encoder, dtype=torch.float32)
        model.config.memory_order = "given"
        vectors = model.encode_memory(memory_inputs)
        logits = model(**{name: golden[name] for name in names}, **image, memory_inputs=memory_inputs).logits
        pairs = (vectors, golden["memory_embeds"]), (logits, golden["train_logits"])
        distances[encoder] = max(((ours - theirs).norm() / theirs.norm()).item() for ours, theirs in pairs)
    assert report.rank == 4
    assert distances["separate"] < 2**-6  # four roundings of 2 ** -8
    assert distances["adapter"] < 1.5 * distances["separate"]
