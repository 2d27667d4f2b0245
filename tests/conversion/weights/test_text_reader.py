"""Published checkpoints with a text-only reader answer as the published code does, whatever they become."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from comem_hf.commands import main
from comem_hf.conversion import convert_checkpoint
from comem_hf.conversion.weights.text_reader import UNKNOWN
from tests.conversion.conftest import GOLDEN, edit, replaced, without
from tests.modeling.test_golden_sites import golden as folder_of


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(folder_of("text_reader") / "golden.safetensors")


@pytest.fixture(scope="module")
def resampler() -> dict[str, int]:
    with safe_open(folder_of("text_reader") / "golden.safetensors", "pt") as file:
        sizes = json.loads(file.metadata()["sizes"])
    names = {"num_attention_heads": "qheads", "head_dim": "qdim", "num_hidden_layers": "passes"}
    return {ours: sizes[theirs] for ours, theirs in names.items()}


@pytest.fixture
def published(tmp_path) -> Path:
    return Path(shutil.copytree(folder_of("text_reader"), tmp_path / "published"))


@pytest.fixture(scope="module", params=["merged_full", "lora_adapter"])
def layout(request) -> str:
    return request.param


@pytest.fixture(scope="module", params=["adapter", "separate"])
def converted(request, layout, resampler, tmp_path_factory):
    root, output = folder_of("text_reader"), tmp_path_factory.mktemp("converted") / "model"
    report = convert_checkpoint(
        root / layout,
        output,
        backbone=root / "backbone",
        reader=root / "reader",
        encoder=request.param,
        resampler=resampler,
    )
    return report, AutoModelForImageTextToText.from_pretrained(output), output


def close(ours: torch.Tensor, theirs: torch.Tensor):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@torch.no_grad()
def test_memory_vectors_and_logits_match(converted, golden, memory_inputs, image):
    model = converted[1]
    close(model.encode_memory(memory_inputs), golden["memory_embeds"])
    seen = []
    hook = model.reader.language_model.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    logits = model(golden["prompt_ids"], **image, memory_inputs=memory_inputs).logits
    hook.remove()
    close(seen[0], golden["inference_reader_inputs"])
    close(logits, golden["inference_prefill_logits"][:, -logits.shape[1] :])
    close(model(inputs_embeds=seen[0]).logits, golden["inference_prefill_logits"])


def test_greedy_tokens_match(converted, golden, memory_inputs, image):
    tokens = golden["official_greedy_tokens"]
    output = converted[1].generate(
        golden["prompt_ids"],
        **image,
        memory_inputs=memory_inputs,
        max_new_tokens=tokens.shape[1],
        do_sample=False,
        eos_token_id=None,
        return_dict_in_generate=True,
        output_logits=True,
    )
    assert output.sequences[:, -tokens.shape[1] :].tolist() == tokens.tolist()
    close(torch.stack(output.logits, dim=1), golden["official_step_logits"])


def test_the_readers_weights_are_those_of_the_merged_checkpoint(converted, layout):
    merged = load_file(folder_of("text_reader") / "merged_full" / "model.safetensors")
    ours = converted[1].reader.language_model.state_dict()
    theirs = {key.removeprefix("model_inf."): value for key, value in merged.items() if key.startswith("model_inf.")}
    for name, tensor in theirs.items():
        tolerance = 0 if layout == "merged_full" else 1e-6
        torch.testing.assert_close(ours[name], tensor, rtol=0, atol=tolerance)


def test_settings_and_report_are_those_of_the_published_model(converted, layout):
    report, model, output = converted
    config, written = model.config, json.loads((output / "conversion.json").read_text())
    assert (config.query_vision, config.memory_order) == ("encoder", "reversed")
    assert (config.reader_vocabulary, config.reader_prompt, config.reader_name_or_path) == ("backbone", "whole", None)
    assert config.reader_config.model_type == "qwen2"
    kind = {"merged_full": "full merged", "lora_adapter": "adapter"}[layout]
    assert report.layout == written["layout"] == f"{kind}, text-only reader"
    assert (written["reader"], written["reader_trained"]) == ("reader", True)
    settings = json.loads((folder_of("text_reader") / "lora_adapter" / "adapter_config.json").read_text())
    assert report.reader_rank == written["reader_rank"] == (settings["r"] if layout == "lora_adapter" else None)
    note = "The reader is a text-only language model of type 'qwen2'; it was trained, too, and the change is merged"
    assert any(line.startswith(note) for line in written["notes"])
    assert str(folder_of("text_reader")) not in (output / "config.json").read_text()
    assert report.max_error < 1e-5


def test_a_converted_checkpoint_can_be_saved_without_its_backbone(converted, golden, image, tmp_path):
    model = converted[1]
    model.save_pretrained(tmp_path, memory_only=True)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path, backbone=folder_of("text_reader") / "backbone")
    inputs = {"input_ids": golden["prompt_ids"], "memory_inputs": golden["memory_embeds"][None], **image}
    with torch.no_grad():
        assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)


def convert(published: Path, layout: str, resampler: dict, **arguments):
    arguments = {"backbone": published / "backbone", "reader": published / "reader", **arguments}
    return convert_checkpoint(
        published / layout, published / "out", encoder="separate", resampler=resampler, **arguments
    )


def test_a_merged_checkpoint_needs_only_the_readers_configuration(published, resampler):
    (published / "reader" / "model.safetensors").unlink()
    report = convert(published, "merged_full", resampler)
    assert report.reader_trained is None
    assert UNKNOWN in report.notes
    with pytest.raises(ValueError, match="`reader` .* has no weights, and .* holds none of its reader"):
        convert(published, "lora_adapter", resampler, overwrite=True)


def test_an_adapter_folder_whose_reader_was_not_trained_names_it(published, resampler):
    edit(published / "lora_adapter", without("base_model.model.model_inf."))
    report = convert(published, "lora_adapter", resampler)
    assert (report.reader_trained, report.reader_rank) == (False, None)
    assert any("which the training did not change" in note for note in report.notes)
    ours = AutoModelForImageTextToText.from_pretrained(published / "out").reader.language_model.state_dict()
    base = load_file(published / "reader" / "model.safetensors")
    assert all(torch.equal(ours[name], tensor) for name, tensor in base.items())


def edit_config(folder: Path, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_what_does_not_belong_together_is_refused_in_a_sentence(published, resampler, layout):
    def refuse(message: str, **arguments):
        with pytest.raises(ValueError, match=message) as error:
            convert(published, layout, resampler, **arguments)
        assert "\n" not in str(error.value)
        assert not (published / "out").exists()

    refuse("has a text-only reader .* pass `reader=` \\(--reader\\)", reader=None)
    refuse("is no text-only reader: .* got 'qwen2_5_vl'", reader=published / "backbone")
    refuse("neither a folder nor a Hub repository", reader=published / "nothing")
    refuse("pass `backbone=`", backbone=None)
    values = json.loads((published / "reader" / "config.json").read_text())
    edit_config(published / "reader", hidden_size=2 * values["hidden_size"])
    refuse("must have the width of the backbone's embedding table")
    edit_config(published / "reader", hidden_size=values["hidden_size"], num_hidden_layers=50)
    refuse("lack .* tensors, such as .*reader.language_model.model.layers")
    edit_config(published / "reader", num_hidden_layers=values["num_hidden_layers"], intermediate_size=20)
    refuse("config.json asks for")


def test_another_reader_or_head_is_refused(published, resampler):
    norm = "model.norm.weight"
    edit(published / "reader", replaced(norm, lambda tensor: tensor + 1))
    with pytest.raises(ValueError, match=f"not the model that the reader of .* was trained from: {norm} differs"):
        convert(published, "merged_full", resampler)
    key = "model.layers.0.self_attn.q_proj.weight"
    edit(published / "reader", replaced(key, lambda tensor: tensor[:, :-1]))
    with pytest.raises(ValueError, match="adapts model.layers.0.self_attn.q_proj of its reader, of shape"):
        convert(published, "lora_adapter", resampler)
    shutil.copy(folder_of("text_reader") / "reader" / "model.safetensors", published / "reader")
    head = {"lm_head.weight"} & load_file(published / "merged_full" / "model.safetensors").keys()
    for name in head:
        edit(published / "merged_full", replaced(name, lambda tensor: tensor + 1))
        with pytest.raises(ValueError, match="is not the output layer of `backbone`"):
            convert(published, "merged_full", resampler)


def test_a_reader_is_for_checkpoints_with_a_text_only_one(published, resampler):
    other = GOLDEN / "qwen2_5_vl_trained_reader"
    with pytest.raises(
        ValueError, match="for checkpoints with a text-only reader, .* has a vision tower; leave it out"
    ):
        convert_checkpoint(other / "lora_adapter", published / "out", reader=published / "reader", resampler=resampler)


def test_the_command_takes_the_reader(published, resampler, capsys):
    options = ["--backbone", published / "backbone", "--reader", published / "reader"]
    options += ["--resampler-heads", resampler["num_attention_heads"], "--resampler-head-dim", resampler["head_dim"]]
    with pytest.raises(SystemExit) as stop:
        main(["convert", *map(str, [published / "merged_full", published / "out", *options])])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "Source layout: full merged, text-only reader." in text
    assert "it was trained, too, and the change is merged into its weights" in text
    assert "Reader:" not in text
