"""Every way of loading that transformers offers gives the model that was saved, full or memory-only."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from packaging.version import Version
from transformers import AutoModel, AutoModelForImageTextToText, GenerationConfig

from comem_hf import CoMemConfig, CoMemForConditionalGeneration
from tests.conftest import make_model, shares_weights


KINDS = ("full", "memory-only")
needs_plain_offload = pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.14"),
    reason="before 5.14 transformers loads no plain Qwen2-VL with all of it on disk, nor saves one",
)


@pytest.fixture(scope="module", params=["adapter", "separate"])
def model(request, family):
    model = make_model(family, encoder=request.param, memory_order="reversed")
    model.generation_config = GenerationConfig(max_new_tokens=7, eos_token_id=5)
    return model


@pytest.fixture(scope="module")
def folders(model, tmp_path_factory) -> dict[str, Path]:
    """A checkpoint of each kind; the memory-only one names a backbone's folder."""
    folder = tmp_path_factory.mktemp("checkpoints")
    model.backbone.save_pretrained(folder / "backbone")
    model.config.backbone_name_or_path = str(folder / "backbone")
    model.save_pretrained(folder / "full")
    model.save_pretrained(folder / "memory-only", memory_only=True)
    model.config.backbone_name_or_path = None
    return {kind: folder / kind for kind in KINDS}


@pytest.fixture(scope="module")
def inputs(make_inputs):
    return make_inputs((2, 1))


@torch.no_grad()
def logits(model, inputs) -> torch.Tensor:
    return model(**inputs).logits


def attention_of(model) -> set[str]:
    modules = [*model.backbone.modules(), *model.memory_encoder.model.modules()]
    return {module.config._attn_implementation for module in modules if hasattr(module, "config")}


OFFLOADED = {"model.visual": "cpu", "model.language_model": "disk", "lm_head": "cpu"}
DEVICE_MAPS = {
    "name": "cpu",
    "device": torch.device("cpu"),
    "auto": "auto",
    "all": {"": "cpu"},
    "parts": {"backbone": "cpu", "memory_encoder": "cpu"},
    "disk": {**{f"backbone.{name}": device for name, device in OFFLOADED.items()}, "memory_encoder": "cpu"},
    "all on disk": pytest.param({"": "disk"}, marks=needs_plain_offload),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("device_map", DEVICE_MAPS.values(), ids=DEVICE_MAPS)
def test_a_device_map_changes_no_logit(model, folders, inputs, tmp_path, kind, device_map):
    pytest.importorskip("accelerate")
    loaded = AutoModel.from_pretrained(folders[kind], device_map=device_map, offload_folder=tmp_path)
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))
    assert shares_weights(loaded)
    assert not loaded.training
    assert loaded.device == torch.device("cpu")
    on_disk = isinstance(device_map, dict) and "disk" in device_map.values()
    assert any(parameter.is_meta for parameter in loaded.backbone.parameters()) == on_disk


@pytest.mark.parametrize("kind", KINDS)
def test_automatic_placement_under_a_memory_limit_generates_the_same(model, folders, inputs, tmp_path, kind):
    pytest.importorskip("accelerate")
    loaded = AutoModel.from_pretrained(
        folders[kind], device_map="auto", max_memory={"cpu": 400_000}, offload_folder=tmp_path
    )
    assert {"cpu", "disk"} <= {str(device) for device in loaded.hf_device_map.values()}
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None}
    assert torch.equal(loaded.generate(**inputs, **settings), model.generate(**inputs, **settings))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, "bfloat16", torch.float16, torch.float32, "auto", None])
def test_a_dtype_is_that_of_all_weights_and_of_no_rotary_frequency(model, folders, inputs, kind, dtype):
    loaded = AutoModel.from_pretrained(folders[kind], dtype=dtype)
    expected = torch.bfloat16 if dtype == "bfloat16" else dtype if isinstance(dtype, torch.dtype) else torch.float32
    assert {parameter.dtype for parameter in loaded.parameters()} == {expected}
    assert {buffer.dtype for name, buffer in loaded.named_buffers() if "inv_freq" in name} == {torch.float32}
    assert loaded.dtype == loaded.config.dtype == expected
    assert shares_weights(loaded)
    other = CoMemForConditionalGeneration.from_pretrained(folders["full"], dtype=dtype)
    assert torch.equal(logits(loaded, inputs), logits(other, inputs))


def test_a_memory_only_checkpoint_of_bfloat16_loads_in_bfloat16_on_a_backbone_of_float32(model, folders, tmp_path):
    half = AutoModel.from_pretrained(folders["full"], dtype=torch.bfloat16)
    half.config.backbone_name_or_path = str(folders["full"].parent / "backbone")
    half.save_pretrained(tmp_path, memory_only=True)
    assert {parameter.dtype for parameter in AutoModel.from_pretrained(tmp_path).parameters()} == {torch.bfloat16}


def test_a_new_encoder_on_a_bfloat16_backbone_keeps_its_rotary_frequencies(model, folders):
    loaded = CoMemForConditionalGeneration.from_backbone(
        str(folders["full"].parent / "backbone"),
        backbone_kwargs={"dtype": torch.bfloat16},
        encoder=model.config.encoder,
    )
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    assert {buffer.dtype for name, buffer in loaded.named_buffers() if "inv_freq" in name} == {torch.float32}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("auto", [AutoModel, CoMemForConditionalGeneration])
@pytest.mark.parametrize("attention", ["eager", "sdpa", {"backbone_config": "eager"}])
def test_an_attention_implementation_reaches_both_towers_of_both_models(model, folders, inputs, kind, auto, attention):
    loaded = auto.from_pretrained(folders[kind], attn_implementation=attention)
    name = attention["backbone_config"] if isinstance(attention, dict) else attention
    assert attention_of(loaded) == {name}
    assert torch.allclose(logits(loaded, inputs), logits(model, inputs), atol=1e-4)
    if name == "eager":  # sdpa cannot give these
        with torch.no_grad():
            assert loaded(**inputs, output_attentions=True).attentions[0] is not None
    other = {"eager": "sdpa", "sdpa": "eager"}[name]
    loaded.set_attn_implementation(other)
    assert attention_of(loaded) == {other}


def test_an_attention_implementation_that_is_not_installed_is_refused(model, folders):
    from transformers.utils import is_flash_attn_2_available

    if is_flash_attn_2_available():
        pytest.skip("flash-attn is installed")
    for folder in folders.values():
        with pytest.raises(ImportError, match="(?i)flash"):
            AutoModel.from_pretrained(folder, attn_implementation="flash_attention_2")


@pytest.mark.parametrize("kind", KINDS)
def test_settings_among_the_arguments_go_into_the_configuration(model, folders, kind):
    loaded = CoMemForConditionalGeneration.from_pretrained(
        folders[kind], query_vision="encoder", memory_order="given", memory_token_id=3, output_hidden_states=True
    )
    config = loaded.config
    assert (config.query_vision, config.memory_order, config.memory_token_id) == ("encoder", "given", 3)
    assert config.output_hidden_states is True
    with pytest.raises(TypeError, match="num_beams"):  # transformers' own answer to a setting of `generate`
        AutoModel.from_pretrained(folders[kind], num_beams=2)
    with pytest.raises(ValueError, match=r"queries.weight` in .* has shape \(8, 64\), .* needs \(4, 64\)"):
        AutoModel.from_pretrained(folders[kind], num_memory_tokens=4, ignore_mismatched_sizes=True)
    other = {"adapter": "separate", "separate": "adapter"}[model.config.encoder]
    with pytest.raises(ValueError, match=f"holds .*, so `encoder` must be '{model.config.encoder}'"):
        AutoModel.from_pretrained(folders[kind], encoder=other)


def test_a_model_is_made_of_a_configuration_and_tensors_without_files(model, inputs):
    loaded = CoMemForConditionalGeneration.from_pretrained(None, config=model.config, state_dict=model.state_dict())
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_may_be_given_and_is_left_alone(model, folders, inputs, kind):
    config = CoMemConfig.from_pretrained(folders[kind])
    before = config.to_dict()
    for given in (config, str(folders[kind])):
        loaded = CoMemForConditionalGeneration.from_pretrained(folders[kind], config=given)
        assert torch.equal(logits(loaded, inputs), logits(model, inputs))
        assert loaded.config is not config
    assert config.to_dict() == before


@pytest.mark.parametrize("kind", KINDS)
def test_generation_settings_and_the_place_of_loading_come_along(model, folders, kind):
    loaded, info = AutoModel.from_pretrained(folders[kind], output_loading_info=True)
    assert loaded.generation_config.max_new_tokens == 7
    assert loaded.name_or_path == loaded.config.name_or_path == str(folders[kind])
    assert not any(info.values())
    given = AutoModel.from_pretrained(folders[kind], generation_config=GenerationConfig(max_new_tokens=3))
    assert given.generation_config.max_new_tokens == 3
    assert loaded.num_parameters(only_trainable=True) == model.num_parameters(only_trainable=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_subfolder_and_shards_are_found(model, folders, inputs, tmp_path, kind):
    model.config.backbone_name_or_path = str(folders["full"].parent / "backbone")
    model.save_pretrained(tmp_path / "part", memory_only=kind != "full", max_shard_size="50KB")
    model.config.backbone_name_or_path = None
    assert len(list((tmp_path / "part").glob("model-*.safetensors"))) > 1
    for placing in ({}, {"device_map": "cpu"}):
        loaded = AutoModel.from_pretrained(tmp_path, subfolder="part", **placing)
        assert torch.equal(logits(loaded, inputs), logits(model, inputs))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shards", [{}, {"max_shard_size": "50KB"}], ids=["whole", "sharded"])
def test_a_variant_is_found_and_says_nothing_of_the_backbone(model, folders, inputs, tmp_path, kind, shards):
    model.config.backbone_name_or_path = str(folders["full"].parent / "backbone")
    model.save_pretrained(tmp_path, memory_only=kind != "full", variant="special", **shards)
    model.config.backbone_name_or_path = None
    assert all(".special" in path.name for path in tmp_path.glob("model*.safetensors*"))
    for placing in ({}, {"device_map": "cpu"}):
        loaded = AutoModel.from_pretrained(tmp_path, variant="special", **placing)
        assert torch.equal(logits(loaded, inputs), logits(model, inputs))
    with pytest.raises((ValueError, OSError), match="no file .*model.other.safetensors"):
        AutoModel.from_pretrained(tmp_path, variant="other")


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_of_one_file_counts_though_the_index_of_an_earlier_one_is_there(
    model, folders, inputs, tmp_path, kind
):
    make_model(model.config.backbone_config.model_type, seed=5, encoder=model.config.encoder).save_pretrained(
        tmp_path, max_shard_size="50KB"
    )
    model.config.backbone_name_or_path = str(folders["full"].parent / "backbone")
    model.save_pretrained(tmp_path, memory_only=kind != "full")
    model.config.backbone_name_or_path = None
    assert (tmp_path / "model.safetensors.index.json").exists()
    for placing in ({}, {"device_map": "cpu"}):
        loaded = AutoModel.from_pretrained(tmp_path, **placing)
        assert torch.equal(logits(loaded, inputs), logits(model, inputs))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damaged", ['{"weight_map": {"a', "{}", "[]", '{"weight_map": ["model.safetensors"]}'])
def test_a_damaged_index_is_named(model, tmp_path, kind, damaged):
    model.save_pretrained(tmp_path, memory_only=kind != "full", max_shard_size="50KB")
    (tmp_path / "model.safetensors.index.json").write_text(damaged)
    placing = {"device_map": "cpu"} if kind == "full" else {"backbone": model.backbone}
    with pytest.raises(ValueError, match=r"model.safetensors.index.json in .* is truncated or corrupt \(.*download"):
        CoMemForConditionalGeneration.from_pretrained(tmp_path, **placing)


def test_an_index_that_was_not_written_to_its_end_is_named_by_plain_loading(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="50KB")
    for damaged in ('{"weight_map": {"a', "{}"):
        (tmp_path / "model.safetensors.index.json").write_text(damaged)
        with pytest.raises(ValueError, match="model.safetensors.index.json in .* is truncated or corrupt"):
            AutoModel.from_pretrained(tmp_path)


@needs_plain_offload
@pytest.mark.parametrize("kind", KINDS)
def test_an_offloaded_model_is_saved_whole(model, folders, inputs, tmp_path, kind):
    pytest.importorskip("accelerate")
    loaded = AutoModel.from_pretrained(folders[kind], device_map={"": "disk"}, offload_folder=tmp_path / "offloaded")
    loaded.save_pretrained(tmp_path / "again")
    assert torch.equal(logits(AutoModel.from_pretrained(tmp_path / "again"), inputs), logits(model, inputs))
    assert loaded.memory_fingerprint() == model.memory_fingerprint()


def test_a_backbone_that_is_loaded_already_takes_no_loading_arguments(model, folders):
    load, folder = CoMemForConditionalGeneration.from_pretrained, folders["memory-only"]
    for name, value in (("dtype", torch.float32), ("device_map", "cpu"), ("attn_implementation", "eager")):
        with pytest.raises(ValueError, match=rf"\['{name}'\] are for loading a backbone"):
            load(folder, backbone=model.backbone, **{name: value})
    assert load(folder, backbone=model.backbone, local_files_only=True).backbone is model.backbone


def test_the_backbones_own_weights_are_never_taken_from_elsewhere_in_a_full_checkpoint(folders, model):
    with pytest.raises(ValueError, match="`backbone` is for memory-only checkpoints"):
        CoMemForConditionalGeneration.from_pretrained(folders["full"], backbone=model.backbone, device_map="cpu")


def test_every_kind_of_checkpoint_says_what_it_is(folders):
    kinds = {kind: json.loads((folder / "config.json").read_text()) for kind, folder in folders.items()}
    assert [kinds[kind]["memory_only"] for kind in KINDS] == [False, True]
    assert [kinds[kind]["backbone_checksum"] is None for kind in KINDS] == [True, False]
    assert AutoModelForImageTextToText.from_pretrained(folders["full"]).config.backbone_checksum is None


@pytest.mark.parametrize("kind", KINDS)
def test_loading_draws_no_random_numbers(folders, kind):
    """What is drawn would be replaced at once; for real sizes that takes longer than loading."""
    before = torch.random.get_rng_state()
    loaded = CoMemForConditionalGeneration.from_pretrained(folders[kind])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not any(tensor.is_meta for tensor in (*loaded.parameters(), *loaded.buffers()))
