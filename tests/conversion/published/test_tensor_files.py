"""What is wrong with the files is said in one sentence, and nothing is left behind."""

import json
import os
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conversion.conftest import edit, replaced, to_bin, to_shards, weights_file


UP_PROJ = "model.layers.0.mlp.up_proj.weight"


def overwrite(name: str, change):
    def spoil(folder: Path):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return spoil


def header_of_random_length(content: bytes) -> bytes:
    return b"\x93\x1c\xaa\x51\x07\xe2\x44\x90" + content[8:]


def garbled_header(content: bytes) -> bytes:
    return content[:8] + b"\xff" * 40 + content[48:]


def wrong_offsets(content: bytes) -> bytes:
    return re.sub(rb'"data_offsets":\[0,', b'"data_offsets":[8,', content, count=1)


def negative_shape(content: bytes) -> bytes:
    return content.replace(b'"shape":[96,64]', b'"shape":[-8,-9]', 1)


def three_offsets(content: bytes) -> bytes:
    return re.sub(rb'"data_offsets":\[0,', b'"data_offsets":[0,0,', content, count=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (header_of_random_length, "is damaged: its header does not fit into its .* bytes; download it again"),
        (garbled_header, "is damaged: its header makes no sense; download it again"),
        (wrong_offsets, "is damaged: its header makes no sense; download it again"),
        (negative_shape, "is damaged: its header makes no sense; download it again"),
        (three_offsets, "is damaged: its header makes no sense; download it again"),
        (lambda content: content[:-1000], "is cut off: .* should end at byte .*; download it again"),
        (lambda content: content[:3000], "is damaged: its header does not fit"),
        (lambda content: content[:5], "is damaged: its header does not fit"),
        (lambda content: b"", "is damaged: its header does not fit"),
    ],
)
@pytest.mark.parametrize("where", ["spoil", "spoil_backbone"])
def test_a_damaged_file_is_named(refused, where, change, message):
    assert "model.safetensors" in refused(message, **{where: overwrite("model.safetensors", change)})


def test_a_quantized_checkpoint_is_refused(refused):
    refused(
        f"{UP_PROJ} in .* has the dtype I8, which is none of F64, .*; convert the checkpoint as it was before",
        lambda folder: edit(folder, replaced(UP_PROJ, lambda weight: weight.to(torch.int8))),
    )


def test_a_missing_shard_is_named(refused):
    def spoil(folder: Path):
        to_shards(folder)
        (folder / "model-00002-of-00002.safetensors").unlink()

    refused("model.safetensors.index.json names the shard model-00002-of-00002.safetensors, which is missing", spoil)


def edit_index(folder: Path, change):
    path = to_shards(folder) / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    path.write_text(json.dumps({"weight_map": change(index["weight_map"])}))


def test_a_shard_that_the_index_does_not_name_is_missed(refused):
    refused(
        "lacks .* tensors|holds another resampler",
        lambda folder: edit_index(folder, lambda keys: {k: name for k, name in keys.items() if "00001-" in name}),
    )


def test_a_key_that_is_not_in_its_shard_is_named(refused):
    refused(
        "says that model.layers.5.weight is in model-00001-of-00002.safetensors, which does not hold it",
        lambda folder: edit_index(
            folder, lambda keys: {**keys, "model.layers.5.weight": "model-00001-of-00002.safetensors"}
        ),
    )


@pytest.mark.parametrize("index", ["{", "[]", '{"metadata": {}}', '{"weight_map": {"a": 1}}', '{"weight_map": null}'])
def test_an_index_that_is_none_is_refused(refused, index):
    def spoil(folder: Path):
        (to_shards(folder) / "model.safetensors.index.json").write_text(index)

    refused("index.json is no index of shards: it has no valid `weight_map`", spoil)


def test_an_index_cannot_reach_files_outside_its_folder(refused, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "other.safetensors"
    refused(
        "is no index of shards",
        lambda folder: edit_index(folder, lambda keys: dict.fromkeys(keys, os.path.relpath(outside, folder))),
    )


@pytest.mark.parametrize("layout", ["merged_full", "merged_without_inference_copy"])
@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_a_weight_of_another_shape_is_named(refused, layout, encoder):
    refused(
        rf"{UP_PROJ} in .* has shape \(95, 64\), but",
        lambda folder: edit(folder, replaced(UP_PROJ, lambda weight: weight[1:])),
        layout=layout,
        encoder=encoder,
    )


def test_a_resampler_of_another_size_is_named(refused):
    key = "knowledge_processor.proj_in.weight"
    refused(
        rf"{key} in .* has shape \(63, 64\), but config.json asks for \(64, 64\)",
        lambda folder: edit(folder, replaced(key, lambda weight: weight[1:])),
    )


@pytest.mark.parametrize(
    ("value", "encoder", "form"),
    [
        (float("nan"), "adapter", None),
        (float("inf"), "separate", None),
        (-float("inf"), "adapter", None),
        (float("nan"), "separate", to_bin),
    ],
)
def test_a_weight_that_is_no_number_is_named(refused, value, encoder, form):
    def spoil(folder: Path):
        edit(folder, replaced(UP_PROJ, lambda weight: weight.index_fill(0, torch.tensor(3), value)))
        if form:
            form(folder)

    refused(f"{UP_PROJ} in .* holds values that are infinite or not a number", spoil, encoder=encoder)


@pytest.mark.parametrize("key", ["knowledge_processor.latents", "base_model.model.visual.merger.mlp.0.lora_B.weight"])
def test_an_adapter_with_a_tensor_that_is_no_number_is_refused(refused, key):
    wrapped = key if key.startswith("base_model") else f"base_model.model.{key}"
    refused(
        f"{key} in .* holds values that are infinite or not a number",
        lambda folder: edit(folder, replaced(wrapped, lambda tensor: tensor * float("nan"))),
        layout="lora_adapter",
    )


class Harmful:
    """Unpickling it writes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


@pytest.mark.parametrize("how", ["torch.save", "plain pickle"])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_model.bin", "non_lora_state_dict.bin"])
def test_a_pickle_with_code_in_it_is_refused_and_not_run(refused, tmp_path_factory, how, name):
    marker = tmp_path_factory.mktemp("marker") / "was-run"

    def spoil(folder: Path):
        content = {**load_file(weights_file(folder)), "harm": Harmful(marker)}
        if name != "non_lora_state_dict.bin":
            weights_file(folder).unlink()
        if how == "torch.save":
            torch.save(content, folder / name)
        else:
            (folder / name).write_bytes(pickle.dumps(content))

    refused(
        f"{name} (holds more than tensors, perhaps harmful code; nothing of it was run|is damaged or not a file of)",
        spoil,
        layout="merged_full" if name == "pytorch_model.bin" else "lora_adapter",
    )
    assert not marker.exists()
    Harmful(marker).__reduce__()[0](*Harmful(marker).__reduce__()[1]).close()
    assert marker.exists(), "the pickle would have written it"


@pytest.mark.parametrize("content", [["no", "dictionary"], {"key": "no tensor"}, {"key": torch.ones(2).int()}])
def test_a_bin_of_something_else_is_refused(refused, content):
    def spoil(folder: Path):
        torch.save(content, to_bin(folder) / "pytorch_model.bin")

    refused("pytorch_model.bin is no dictionary of weights", spoil)


def test_a_cut_bin_is_refused(refused):
    def spoil(folder: Path):
        overwrite("pytorch_model.bin", lambda content: content[: len(content) // 2])(to_bin(folder))

    refused("pytorch_model.bin is damaged or not a file of torch 1.6 or later", spoil)
