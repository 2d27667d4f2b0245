"""A backbone or a checkpoint that is not what it should be is told from the weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from comem_hf.conversion import convert_checkpoint
from tests.conversion.conftest import RESAMPLER, edit, replaced, weights_file, without


UP_PROJ = "model.layers.0.mlp.up_proj.weight"
EMBEDDINGS = "model.embed_tokens.weight"


def random_weights(tensors):
    generator = torch.Generator().manual_seed(1)
    return {key: 0.05 * torch.randn(tensor.shape, generator=generator) for key, tensor in tensors.items()}


@pytest.mark.parametrize("value", [8e36, 1e22, 1e10])
@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_one_value_beyond_all_bounds_is_damage_and_no_change(refused, encoder, value):
    refused(
        rf"{UP_PROJ} in .* holds values up to {value:.1e}".replace("+", r"\+")
        + "; the file is damaged, download it again",
        lambda folder: edit(folder, replaced(UP_PROJ, lambda weight: weight.index_fill(0, torch.tensor(3), value))),
        encoder=encoder,
    )


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_a_backbone_of_the_same_shape_but_other_weights_is_refused(refused, encoder):
    refused(
        "`backbone` .*backbone is not the model that .*source was trained from: "
        "model.language_model.embed_tokens.weight and .* more weights differ, which adapters do not change; pass",
        spoil_backbone=lambda folder: edit(folder, random_weights),
        layout="merged_without_inference_copy",
        encoder=encoder,
    )


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_other_embeddings_alone_tell_another_backbone(refused, encoder):
    refused(
        "is not the model that .* was trained from: model.language_model.embed_tokens.weight differs, which",
        spoil_backbone=lambda folder: edit(folder, replaced(EMBEDDINGS, lambda weight: weight + 1)),
        layout="merged_without_inference_copy",
        encoder=encoder,
    )


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_another_size_of_vocabulary_tells_another_backbone(refused, encoder):
    def widen(folder: Path):
        edit(
            folder,
            lambda t: {k: torch.cat([v, v[:8]]) if k in (EMBEDDINGS, "lm_head.weight") else v for k, v in t.items()},
        )
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 168}))

    message = "`backbone` .* has a vocabulary of 168, but .*source/config.json says 160; pass the model that"
    refused(message, spoil_backbone=widen, layout="merged_without_inference_copy", encoder=encoder)

    message = r"embed_tokens.weight (in .* has shape \(160, 64\), but the backbone has \(168, 64\)|differs)"
    without_config = lambda folder: (folder / "config.json").unlink()  # noqa: E731
    refused(message, without_config, widen, layout="merged_without_inference_copy", encoder=encoder)


def test_the_configuration_beside_an_adapter_tells_another_vocabulary(refused):
    refused(
        "has a vocabulary of 160, but .*source/config.json says 168; pass the model that",
        lambda folder: (folder / "config.json").write_text('{"vocab_size": 168}'),
        layout="lora_adapter",
    )


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_frozen_weights_beside_an_adapter_tell_another_backbone(refused, make_published, encoder):
    def spoil(folder: Path):
        frozen = load_file(weights_file(folder.parent / "backbone"))
        torch.save(
            random_weights({f"base_model.model.{k}": v for k, v in frozen.items()}), folder / "non_lora_state_dict.bin"
        )

    refused("is not the model that .* was trained from", spoil, layout="lora_adapter", encoder=encoder)


def test_a_few_trained_norms_are_kept_by_separate(make_published, tmp_path):
    source, backbone = make_published("qwen2_vl", "merged_without_inference_copy")
    edit(source, replaced("model.norm.weight", lambda weight: weight + 1))
    convert_checkpoint(source, tmp_path / "out", backbone=backbone, encoder="separate", resampler=RESAMPLER)
    written = load_file(tmp_path / "out" / "model.safetensors")
    trained = load_file(weights_file(source))["model.norm.weight"]
    assert torch.equal(written["memory_encoder.model.language_model.norm.weight"], trained)


def test_with_a_copy_of_the_backbone_everything_may_have_been_trained(make_published, tmp_path):
    source, backbone = make_published("qwen2_vl")
    edit(
        source, lambda tensors: {k: v if k.startswith(("model_inf", "know")) else v + 0.1 for k, v in tensors.items()}
    )
    convert_checkpoint(source, tmp_path / "out", backbone=backbone, encoder="separate", resampler=RESAMPLER)


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_a_norm_that_the_encoder_lacks_is_not_taken_from_the_backbone(refused, encoder):
    refused(
        "lacks? 1 tensors",
        lambda folder: edit(folder, lambda t: {k: v for k, v in t.items() if k != "model.norm.weight"}),
        encoder=encoder,
    )


def test_two_keys_for_one_weight_are_refused_unless_they_agree(refused, make_published, tmp_path):
    key, other = "model.norm.weight", "model.language_model.norm.weight"
    refused(
        f"{other} in .* and {key} in .* are the same weight under two names, but differ; remove the one",
        lambda folder: edit(folder, lambda tensors: {**tensors, other: tensors[key] + 1}),
    )
    source, backbone = make_published("qwen2_vl")
    edit(source, lambda tensors: {**tensors, other: tensors[key]})
    convert_checkpoint(source, tmp_path / "out", backbone=backbone, resampler=RESAMPLER)


@pytest.mark.parametrize(
    ("prefix", "layout", "message"),
    [
        ("knowledge_processor.", "merged_full", "holds no resampler .* the published merge script drops it"),
        ("base_model.model.knowledge_processor.", "lora_adapter", "holds no resampler"),
        ("knowledge_processor.", "merged_without_inference_copy", "is a plain model, with neither a resampler"),
        ("", "merged_full", "model.safetensors holds no tensors; download it again"),
        ("knowledge_processor.norm_out", "merged_full", "holds another resampler than the published one"),
        ("model.layers.1.", "merged_full", "lacks 12 tensors of the encoder"),
        ("model_inf.model.layers.1.", "merged_full", "lack 12 tensors"),
    ],
)
def test_missing_parts_are_told(refused, prefix, layout, message):
    arguments = {"backbone": None} if prefix.startswith("model_inf") else {}
    refused(message, lambda folder: edit(folder, without(prefix)), layout=layout, **arguments)


@pytest.mark.parametrize("prefix", ["", "model_inf."])
@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_unknown_tensors_are_named(refused, prefix, encoder):
    refused(
        f"{prefix or 'model.layers.0.mlp.'}extra.weight|lacks extra.weight",
        lambda folder: edit(
            folder, lambda tensors: {**tensors, f"{prefix or 'model.layers.0.mlp.'}extra.weight": torch.ones(3, 3)}
        ),
        encoder=encoder,
    )


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_a_backbone_that_lacks_an_adapted_layer_is_told(refused, encoder):
    refused(
        "lack 12 tensors|`backbone` .* lacks model.language_model.layers.1.* download it again",
        spoil_backbone=lambda folder: edit(folder, lambda t: {k: v for k, v in t.items() if "layers.1." not in k}),
        layout="lora_adapter",
        encoder=encoder,
    )


def test_unknown_tensors_of_the_backbone_are_named(refused):
    refused(
        r"The model that config.json describes has no extra.weight in .*/backbone/model.safetensors",
        spoil_backbone=lambda folder: edit(folder, lambda tensors: {**tensors, "extra.weight": torch.ones(3)}),
        encoder="separate",
    )


def test_a_change_that_is_not_low_rank_is_refused_with_the_way_out(refused):
    refused(
        f"The change of {UP_PROJ} in .* is not low-rank: .* convert with encoder='separate'",
        lambda folder: edit(folder, replaced(UP_PROJ, torch.randn_like)),
    )


def test_too_low_a_rank_is_refused_with_layer_error_and_way_out(refused):
    refused(r"The adapter of .* rank 2 leaves out \d\.\de-01 .* give a higher `rank` or `max_error`, or", rank=2)


def test_a_trained_norm_is_refused_with_the_way_out(refused):
    refused(
        "model.norm.weight in .* was trained, but is no linear layer's weight; convert with encoder='separate'",
        lambda folder: edit(folder, replaced("model.norm.weight", lambda weight: weight + 1)),
    )


def test_another_backbone_is_refused(refused):
    refused(
        "`backbone` .* is not the one in .*: model.language_model.norm.weight differs",
        spoil_backbone=lambda folder: edit(folder, replaced("model.norm.weight", lambda weight: weight + 1)),
    )


def test_a_backbone_that_is_a_comem_checkpoint_is_refused(refused, make_published, tmp_path_factory):
    published = make_published("qwen2_vl")[0]
    refused("`backbone` .* is itself a CoMEM checkpoint; pass the plain model", backbone=published)
    converted = tmp_path_factory.mktemp("converted")
    convert_checkpoint(published, converted, resampler=RESAMPLER)
    refused("`backbone` .* is itself a CoMEM checkpoint; pass the plain model", backbone=converted)


def test_a_checkpoint_of_this_package_is_no_source(make_published, tmp_path):
    convert_checkpoint(make_published("qwen2_vl")[0], tmp_path / "once", resampler=RESAMPLER)
    with pytest.raises(ValueError, match="is a checkpoint of this package already; load it with `from_pretrained`"):
        convert_checkpoint(tmp_path / "once", tmp_path / "twice")


def test_a_folder_without_weights_is_refused(refused):
    refused(
        "has no file model.safetensors or pytorch_model.bin, nor an index",
        lambda folder: (folder / "model.safetensors").unlink(),
    )
