"""Checkpoints as the published training really leaves them: the reader was trained, too."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from comem_hf.conversion import convert_checkpoint, merge_encoder
from comem_hf.conversion.weights.reader_weights import UNKNOWN_BASE, VISION_LEFT_OUT
from comem_hf.modeling import CoMemForConditionalGeneration
from tests.conversion.conftest import GOLDEN, RESAMPLER, edit, replaced, without


DECODE_OFFSETS = {"qwen2_vl": 4000, "qwen2_5_vl": 8000}
# Layout, whether the backbone is named, the largest distance from the published outputs.
CASES = {
    "adapter folder": ("lora_adapter", True, 1e-4),
    "adapter folder alone": ("lora_adapter", False, 1e-4),
    "merged": ("merged_full", True, 1e-3),
    "merged alone": ("merged_full", False, 1e-3),
}


@pytest.fixture(scope="module")
def published(family, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "run"
    shutil.copytree(GOLDEN / f"{family}_trained_reader", folder)
    return folder


@pytest.fixture(scope="module")
def golden(published) -> dict[str, torch.Tensor]:
    return load_file(published / "golden.safetensors")


@pytest.fixture(scope="module", params=CASES)
def case(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def tolerance(case) -> float:
    return CASES[case][2]


@pytest.fixture(scope="module", params=["adapter", "separate"])
def converted(request, published, case, tmp_path_factory):
    layout, is_named, _ = CASES[case]
    output = tmp_path_factory.mktemp("converted") / "model"
    backbone = published / "backbone" if is_named else None
    report = convert_checkpoint(
        published / layout, output, backbone=backbone, encoder=request.param, resampler=RESAMPLER
    )
    return report, AutoModelForImageTextToText.from_pretrained(output), output


@pytest.fixture
def model(converted):
    model = converted[1]
    yield model
    model.config.memory_order, model.config.decode_position_offset = "reversed", None


def no_items(golden) -> dict[str, torch.Tensor]:
    return {"memory_embeds": torch.zeros(1, 0, 8, golden["memory_embeds"].shape[-1])}


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


def test_the_report_says_what_was_found(converted, case, family):
    report, model, output = converted
    written = json.loads((output / "conversion.json").read_text())
    is_known = case != "merged alone"
    assert (report.reader_trained, report.reader_rank) == ((True, 4) if is_known else (None, None))
    assert (written["reader_trained"], written["reader_rank"]) == (report.reader_trained, report.reader_rank)
    assert (UNKNOWN_BASE in report.notes) == (not is_known)
    assert (VISION_LEFT_OUT in report.notes) == is_known
    assert report.rank == (None if model.config.encoder == "separate" else 4 if is_known else 8)
    assert report.max_error < 1e-6


@torch.no_grad()
def test_memory_vectors_match(model, golden, memory_inputs, tolerance):
    assert distance(model.encode_memory(memory_inputs), golden["memory_embeds"]) < tolerance


@torch.no_grad()
def test_training_logits_and_loss_match(model, golden, memory_inputs, image, tolerance):
    model.config.memory_order = "given"
    inputs = {name: golden[name] for name in ("input_ids", "attention_mask", "labels")}
    output = model(**inputs, **image, memory_inputs=memory_inputs)
    assert distance(output.logits, golden["train_logits"]) < tolerance
    assert distance(output.loss[None], golden["train_loss"]) < tolerance
    output = model(**inputs, **image, memory_inputs=no_items(golden))
    assert distance(output.logits, golden["official_logits_without_items"]) < tolerance
    assert distance(output.loss[None], golden["official_loss_without_items"]) < tolerance


@torch.no_grad()
def test_prefill_logits_match_and_are_not_those_of_a_plain_reader(model, golden, memory_inputs, image, tolerance):
    prompt = golden["prompt_ids"]
    logits = model(input_ids=prompt, **image, memory_inputs=memory_inputs).logits
    length = prompt.shape[1]
    assert distance(logits, golden["inference_prefill_logits"][:, -length:]) < tolerance
    assert distance(logits, golden["inference_prefill_logits_if_reader_plain"][:, -length:]) > 1
    logits = model(input_ids=prompt, **image, memory_inputs=no_items(golden)).logits
    assert distance(logits, golden["reader_logits_without_memory_encoder_vision"]) < tolerance


def test_greedy_tokens_match_with_the_published_position_offset(
    model, family, golden, memory_inputs, image, tolerance
):
    model.config.decode_position_offset = DECODE_OFFSETS[family]
    model.generation_config.eos_token_id = None  # the published tokens go on after it
    prompt, tokens = golden["prompt_ids"], golden["official_greedy_tokens"]
    output = model.generate(
        input_ids=prompt,
        **image,
        memory_inputs=memory_inputs,
        max_new_tokens=tokens.shape[1] + 1,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
    )
    assert output.sequences[:, prompt.shape[1] : -1].tolist() == tokens.tolist()
    assert distance(torch.stack(output.logits[1:], dim=1), golden["official_decode_logits"]) < tolerance


@torch.no_grad()
def test_without_memory_it_is_the_published_reader_bit_for_bit(model, published, golden, case):
    reader = load_file(published / "merged_full" / "model.safetensors")
    reader = {key.removeprefix("model_inf."): value for key, value in reader.items() if key.startswith("model_inf.")}
    ours = dict(model.backbone.named_parameters())
    for key, value in reader.items():
        if key.startswith("model."):
            assert torch.equal(ours[key.replace("model.", "model.language_model.", 1)], value), key
    if case == "merged alone":  # with the reader's vision tower
        names = {name: golden[name] for name in ("pixel_values", "image_grid_thw")}
        logits = model(golden["prompt_ids"], **names, mm_token_type_ids=token_types(model, golden)).logits
        assert distance(logits, golden["reader_logits_without_memory"]) < 1e-4


@torch.no_grad()
def test_the_plain_reader_is_the_backbone_and_the_memory_stays(converted, golden, memory_inputs, image, case):
    _, model, output = converted
    plain = CoMemForConditionalGeneration.from_pretrained(output, reader="plain")
    assert distance(plain.encode_memory(memory_inputs), golden["memory_embeds"]) < CASES[case][2]
    assert plain.memory_fingerprint() == model.memory_fingerprint()
    types = token_types(plain, golden)
    logits = plain(golden["prompt_ids"], **image, mm_token_type_ids=types).logits
    if case == "merged alone":  # its backbone is not known
        assert torch.equal(logits, model(golden["prompt_ids"], **image, mm_token_type_ids=types).logits)
    else:
        assert distance(logits, golden["plain_backbone_logits_without_memory"]) < CASES[case][2]


@torch.no_grad()
@pytest.mark.parametrize("memory_only", [False, True], ids=["full", "memory-only"])
@pytest.mark.parametrize("reader", ["adapter", "plain", "trainable"])
def test_saved_again_it_is_the_same_model(converted, golden, memory_inputs, published, tmp_path, reader, memory_only):
    _, model, output = converted
    loaded = CoMemForConditionalGeneration.from_pretrained(output, reader=reader)
    loaded.save_pretrained(tmp_path / "again", memory_only=memory_only)
    arguments = {"backbone": published / "backbone"} if memory_only else {}
    if memory_only and model.reader_adapter is None:  # the backbone is the reader, and not the one in the folder
        with pytest.raises(ValueError, match="checksum"):
            CoMemForConditionalGeneration.from_pretrained(tmp_path / "again", **arguments)
        return
    again = CoMemForConditionalGeneration.from_pretrained(tmp_path / "again", **arguments)
    assert again.memory_fingerprint() == model.memory_fingerprint()
    logits, expected = (
        each(golden["prompt_ids"], memory_inputs=memory_inputs, **pictures(golden)).logits for each in (again, model)
    )
    assert distance(logits, expected) < 1e-4
    if reader == "adapter" and not memory_only:
        assert torch.equal(logits, expected)


@torch.no_grad()
def test_on_a_quantized_backbone_the_reader_adapter_stays_beside_it(published, golden, memory_inputs, tmp_path):
    convert_checkpoint(
        published / "lora_adapter", tmp_path / "model", backbone=published / "backbone", resampler=RESAMPLER
    )
    exact = CoMemForConditionalGeneration.from_pretrained(tmp_path / "model")
    exact.save_pretrained(tmp_path / "memory", memory_only=True)
    settings = BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)
    rounded = CoMemForConditionalGeneration.from_pretrained(
        tmp_path / "memory", backbone=published / "backbone", quantization_config=settings
    )
    assert not rounded.config.reader_lora_config["merged"]
    inputs = {"input_ids": golden["prompt_ids"], "memory_inputs": memory_inputs, **pictures(golden)}
    expected, logits = exact(**inputs).logits, rounded(**inputs).logits
    plain = CoMemForConditionalGeneration.from_pretrained(tmp_path / "model", reader="plain")(**inputs).logits
    assert (logits - expected).norm() < 0.2 * (plain - expected).norm()
    assert rounded.memory_fingerprint() == exact.memory_fingerprint()


def test_a_merged_encoder_is_the_published_one(converted, published, tmp_path):
    merge_encoder(converted[2], tmp_path / "encoder")
    ours = load_file(tmp_path / "encoder" / "model.safetensors")
    theirs = load_file(published / "merged_full" / "model.safetensors")
    for key, value in theirs.items():
        if key.startswith("model.layers."):
            torch.testing.assert_close(
                ours[key] if key in ours else ours[key.replace("model.", "model.language_model.", 1)],
                value,
                atol=1e-5,
                rtol=1e-5,
            )


def test_the_configuration_holds_the_fingerprint_of_what_is_loaded(converted):
    _, model, output = converted
    assert json.loads((output / "config.json").read_text())["memory_fingerprint"] == model.memory_fingerprint()
    assert model._fingerprint_of(model.memory_encoder.tensors()) == model.memory_fingerprint()


def test_the_configuration_of_an_adapter_folder_is_looked_for_where_it_belongs(published, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(published / "lora_adapter", run / "checkpoint-8")
    with pytest.raises(ValueError, match="no config.json describes them .*copy the file from the backbone"):
        convert_checkpoint(run / "checkpoint-8", tmp_path / "out", resampler=RESAMPLER)
    (run / "config.json").write_text('{"model_type": "llama"}')  # of something else
    shutil.copytree(published / "backbone", run / "backbone")
    report = convert_checkpoint(run / "checkpoint-8", tmp_path / "out", resampler=RESAMPLER)
    assert "The backbone's configuration is that of 'backbone' (assumed; --backbone)." in report.notes
    shutil.rmtree(run / "backbone")
    shutil.copy(published / "merged_full" / "config.json", run / "config.json")
    report = convert_checkpoint(run / "checkpoint-8", tmp_path / "out", resampler=RESAMPLER, overwrite=True)
    assert "The backbone's configuration is that of 'run' (assumed; --backbone)." in report.notes


def test_a_lost_part_of_the_reader_is_told(published, tmp_path):
    for source, lost, message in (
        ("merged_full", "model_inf.model.norm", "lacks 1 tensors of the inference copy .*language_model.norm.weight"),
        (
            "lora_adapter",
            "base_model.model.model_inf.model.layers.1.",
            "for 7 text layers, such as .*layers.1.*one of",
        ),
    ):
        shutil.copytree(published / source, tmp_path / source)
        edit(tmp_path / source, without(lost))
        with pytest.raises(ValueError, match=message):
            convert_checkpoint(
                tmp_path / source, tmp_path / "out", backbone=published / "backbone", resampler=RESAMPLER
            )


def test_a_reader_adapter_as_before_the_first_step_is_none(published, tmp_path):
    shutil.copytree(published / "lora_adapter", tmp_path / "source")
    edit(
        tmp_path / "source",
        lambda tensors: {k: v * 0 if "model_inf" in k and "lora_B" in k else v for k, v in tensors.items()},
    )
    report = convert_checkpoint(
        tmp_path / "source", tmp_path / "out", backbone=published / "backbone", resampler=RESAMPLER
    )
    assert (report.reader_trained, report.reader_rank) == (False, None)
    assert VISION_LEFT_OUT not in report.notes


def test_what_cannot_be_told_is_warned_of_once(published, tmp_path, caplog):
    from transformers.utils import logging as transformers_logging

    transformers_logging.enable_propagation()
    with caplog.at_level(logging.WARNING):
        convert_checkpoint(published / "merged_full", tmp_path / "out", resampler=RESAMPLER)
    transformers_logging.disable_propagation()
    assert [record.message for record in caplog.records].count(UNKNOWN_BASE) == 1


@pytest.mark.parametrize("name", [None, "backbone"])
def test_the_encoder_alone_is_refused(published, tmp_path, name):
    backbone = None if name is None else published / name
    with pytest.raises(ValueError, match="is a plain model, with neither a resampler"):
        convert_checkpoint(published / "merged_by_published_script", tmp_path / "out", backbone=backbone)


def test_another_backbone_is_refused(published, tmp_path):
    shutil.copytree(published / "backbone", tmp_path / "other")
    edit(tmp_path / "other", replaced("model.norm.weight", lambda tensor: tensor + 1))
    with pytest.raises(ValueError, match="is not the one in .*: model.language_model.norm.weight differs"):
        convert_checkpoint(published / "merged_full", tmp_path / "out", backbone=tmp_path / "other")
    shutil.copytree(published / "backbone", tmp_path / "another")
    key = "model.layers.0.mlp.up_proj.weight"
    edit(tmp_path / "another", replaced(key, lambda tensor: tensor + torch.randn_like(tensor)))
    with pytest.raises(
        ValueError, match="layers.0.mlp.up_proj.weight in .* is not low-rank: .*; check that .* was trained from"
    ):
        convert_checkpoint(published / "merged_full", tmp_path / "out", backbone=tmp_path / "another")


@torch.no_grad()
def test_a_float16_source_matches_within_its_rounding(published, golden, memory_inputs, image, tmp_path):
    source = tmp_path / "half"
    shutil.copytree(published / "merged_full", source)
    edit(source, lambda tensors: {key: value.half() for key, value in tensors.items()})
    shutil.copytree(published / "backbone", tmp_path / "backbone")
    edit(tmp_path / "backbone", lambda tensors: {key: value.half() for key, value in tensors.items()})
    report = convert_checkpoint(
        source, tmp_path / "out", backbone=tmp_path / "backbone", resampler=RESAMPLER, max_error=1e-2
    )
    assert (report.rank, report.reader_rank) == (4, 4)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out", dtype=torch.float32)
    logits = model(golden["prompt_ids"], **image, memory_inputs=memory_inputs).logits
    expected = golden["inference_prefill_logits"][:, -logits.shape[1] :]
    assert ((logits - expected).norm() / expected.norm()).item() < 2**-8  # four roundings of 2 ** -10


def pictures(golden) -> dict[str, torch.Tensor]:
    return {name: golden[name] for name in ("pixel_values", "image_grid_thw")}


def token_types(model, golden) -> torch.Tensor:
    return (golden["prompt_ids"] == model.config.backbone_config.image_token_id).long()
