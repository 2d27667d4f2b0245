"""The published methods with memory at other places give the outputs that their authors' code gives."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.modeling.golden_sites.text_reader import gradients, make_text_reader


TOLERANCE = {"rtol": 0, "atol": 1e-4}


def golden(name: str) -> Path:
    """The folder of a method: tests/golden/sites, or one of that layout which COMEM_GOLDEN_SITES names."""
    root = os.environ.get("COMEM_GOLDEN_SITES") or Path(__file__).parent.parent / "golden" / "sites"
    return Path(root) / name


# CoMEM's text-only reader


@pytest.fixture(scope="module")
def outputs() -> dict[str, torch.Tensor]:
    return load_file(golden("text_reader") / "golden.safetensors")


@pytest.fixture(scope="module")
def text_reader():
    with safe_open(golden("text_reader") / "golden.safetensors", "pt") as file:
        sizes = json.loads(file.metadata()["sizes"])
    return make_text_reader(golden("text_reader"), sizes)


@pytest.fixture
def training(text_reader, outputs):
    """The model as it is trained, and a training sample."""
    text_reader.config.memory_order, text_reader.config.reader_prompt = "given", "after_vision"
    text_reader.zero_grad()
    names = ("input_ids", "attention_mask", "labels", "pixel_values", "image_grid_thw")
    return text_reader, {name: outputs[name] for name in names}


@pytest.fixture
def inference(text_reader, outputs):
    """The model as it answers, and a prompt."""
    text_reader.config.memory_order, text_reader.config.reader_prompt = "reversed", "whole"
    inputs = {name: outputs[name] for name in ("pixel_values", "image_grid_thw")}
    return text_reader, {"input_ids": outputs["prompt_ids"], **inputs}


@pytest.fixture
def items(outputs):
    names = ("input_ids", "attention_mask", "pixel_values", "image_grid_thw")
    return {name: outputs[f"memory_{name}"] for name in names}


@pytest.fixture
def rows_read(text_reader):
    """What the reader has been given, call by call."""
    seen = []
    hook = text_reader.reader.language_model.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"].detach()), with_kwargs=True
    )
    yield seen
    hook.remove()


def close(ours: torch.Tensor, theirs: torch.Tensor):
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


@torch.no_grad()
def test_the_text_reader_gets_memory_encoded_prompt_and_what_follows_its_picture(training, outputs, items, rows_read):
    model, sample = training
    close(model.encode_memory(items), outputs["memory_embeds"])
    output = model(**sample, memory_inputs=items)
    close(rows_read[0], outputs["train_reader_inputs"])
    memory, length = outputs["memory_embeds"].shape[:2].numel(), sample["input_ids"].shape[1]
    close(rows_read[0][:, memory : memory + length], outputs["encoder_query_hidden"])
    close(output.logits, outputs["train_logits"])
    close(output.loss, outputs["train_loss"])


@torch.no_grad()
def test_the_text_reader_is_trained_without_items_too(training, outputs):
    model, sample = training
    output = model(**sample)
    close(output.logits, outputs["train_logits_without_items"])
    close(output.loss, outputs["train_loss_without_items"])


def test_gradients_of_the_text_reader_match_in_resampler_encoder_tower_and_reader(training, outputs, items):
    model, sample = training
    model(**sample, memory_inputs=items).loss.backward()
    names = [name.removeprefix("grad.") for name in outputs if name.startswith("grad.")]
    assert names
    for name in names:
        close(gradients(model, name), outputs[f"grad.{name}"])


@torch.no_grad()
def test_the_text_reader_gets_the_whole_prompt_when_it_answers(inference, outputs, items, rows_read):
    model, prompt = inference
    logits = model(**prompt, memory_inputs=items).logits
    close(rows_read[0], outputs["inference_reader_inputs"])
    close(logits, outputs["inference_prefill_logits"][:, -logits.shape[1] :])
    close(model(inputs_embeds=rows_read[0]).logits, outputs["inference_prefill_logits"])


def test_greedy_tokens_of_the_text_reader_match_step_by_step(inference, outputs, items):
    model, prompt = inference
    tokens = outputs["official_greedy_tokens"]
    output = model.generate(
        **prompt,
        memory_inputs=items,
        max_new_tokens=tokens.shape[1],
        do_sample=False,
        eos_token_id=None,
        return_dict_in_generate=True,
        output_logits=True,
    )
    assert output.sequences.tolist() == torch.cat([prompt["input_ids"], tokens], dim=1).tolist()
    close(torch.stack(output.logits, dim=1), outputs["official_step_logits"])


@torch.no_grad()
def test_the_plain_text_reader_is_a_language_model_of_its_own(text_reader, outputs):
    plain = AutoModelForCausalLM.from_pretrained(golden("text_reader") / "reader").eval()
    logits = plain(outputs["prompt_ids"]).logits
    close(logits, outputs["reader_logits_without_memory"])
    adapted = text_reader.reader.language_model(outputs["prompt_ids"]).logits
    assert (adapted - logits).abs().max() > 0.1  # the published reader is not this one
