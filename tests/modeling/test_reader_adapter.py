"""A reader that was trained, too: merged, beside the weights or left out, the memory vectors are the same."""

import copy
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BitsAndBytesConfig

from comem_hf import CoMemConfig, CoMemForConditionalGeneration
from comem_hf.modeling.fingerprint_comem import backbone_checksum
from tests.conftest import make_backbone, make_model
from tests.modeling.conftest import logits, vectors


@pytest.fixture(scope="module", params=["adapter", "separate"])
def model(request, family):
    """A model whose reader adapter is beside the weights and changes the answers."""
    model = make_model(family, encoder=request.param)
    model.add_reader_adapter(r=2, lora_alpha=4, lora_dropout=0.5)
    torch.manual_seed(3)
    with torch.no_grad():
        for name in model.reader_adapter.scales:
            model.reader_adapter.pair(name)[1].normal_(std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def folders(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    make_backbone(model.config.backbone_config.model_type).save_pretrained(folder / "backbone")
    model.save_pretrained(folder / "beside")
    model.save_pretrained(folder / "memory-only", memory_only=True)
    load(folder / "beside").save_pretrained(folder / "merged")
    return folder


@pytest.fixture(scope="module")
def inputs(make_inputs):
    return make_inputs((2, 1))


def load(folder, **arguments) -> CoMemForConditionalGeneration:
    if folder.name == "memory-only":
        arguments.setdefault("backbone", folder.parent / "backbone")
    return CoMemForConditionalGeneration.from_pretrained(folder, **arguments)


def close(ours, theirs, atol=1e-4):
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)


@pytest.mark.parametrize("kind", ["beside", "merged", "memory-only"])
@pytest.mark.parametrize("reader", ["adapter", "plain", "trainable"])
def test_every_kind_is_loaded_in_every_way_and_saved_again(model, folders, inputs, tmp_path, kind, reader):
    loaded = load(folders / kind, reader=reader)
    assert loaded.config.reader_lora_config["merged"] == (reader == "adapter")
    assert {p.requires_grad for p in loaded.reader_adapter.parameters()} == {reader == "trainable"}
    close(vectors(loaded, inputs), vectors(model, inputs))
    if reader == "plain":
        close(logits(loaded, inputs), plain_logits(model, inputs))
        assert (logits(loaded, inputs) - logits(model, inputs)).abs().max() > 0.1
    else:
        close(logits(loaded, inputs), logits(model, inputs))
    assert loaded.memory_fingerprint() == model.memory_fingerprint()
    for memory_only in (False, True):
        folder = tmp_path / ("memory-only" if memory_only else "full")
        loaded.save_pretrained(folder, memory_only=memory_only)
        again = load(folder, **({"backbone": folders / "backbone"} if memory_only else {}))
        close(logits(again, inputs), logits(model, inputs))
        assert again.memory_fingerprint() == model.memory_fingerprint()


def plain_logits(model, inputs) -> torch.Tensor:
    """What the model without the adapter answers."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for name in other.reader_adapter.scales:
            other.reader_adapter.pair(name)[1].zero_()
    return logits(other, inputs)


@pytest.mark.parametrize("kind", ["beside", "merged", "memory-only"])
def test_in_bfloat16_the_base_is_kept_up_to_rounding(folders, tmp_path, kind):
    loaded = load(folders / kind, dtype=torch.bfloat16)
    loaded.save_pretrained(tmp_path / "merged")
    plain = load(tmp_path / "merged", reader="plain")
    plain.save_pretrained(tmp_path / "memory-only", memory_only=True)
    backbone = make_backbone(loaded.config.backbone_config.model_type).to(torch.bfloat16)
    expected = dict(backbone.named_parameters())
    assert load(tmp_path / "memory-only", backbone=backbone).memory_fingerprint() == plain.memory_fingerprint()
    for name, tensor in plain.backbone.named_parameters():
        torch.testing.assert_close(tensor, expected[name], atol=2**-7, rtol=2**-7)


@pytest.mark.parametrize("kind", ["beside", "merged", "memory-only"])
@pytest.mark.parametrize("reader", ["adapter", "plain"])
def test_quantized_and_offloaded_models_have_it_too(model, folders, inputs, tmp_path, kind, reader):
    expected = logits(model, inputs) if reader == "adapter" else plain_logits(model, inputs)
    other = plain_logits(model, inputs) if reader == "adapter" else logits(model, inputs)
    settings = BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)
    rounded = load(folders / kind, reader=reader, quantization_config=settings)
    ours = logits(rounded, inputs)
    assert (ours - expected).norm() < 0.5 * (ours - other).norm()
    assert rounded.memory_fingerprint() == model.memory_fingerprint()
    stored = {**inputs, "memory_inputs": torch.zeros(2, 1, 8, model.config.hidden_size)}
    rounded.train()
    assert torch.equal(logits(rounded, stored), logits(rounded, stored))  # no dropout where nothing is learned
    device_map = {"backbone.model.visual": "cpu", "backbone.model.language_model": "disk", "backbone.lm_head": "cpu"}
    offloaded = load(folders / kind, reader=reader, device_map=device_map, offload_folder=tmp_path / "offload")
    close(logits(offloaded, inputs), expected)
    if kind == "memory-only" and reader == "adapter":
        with pytest.raises(ValueError, match="reader adapter is beside offloaded weights .* `memory_only=True`"):
            offloaded.save_pretrained(tmp_path / "again")
    else:
        offloaded.save_pretrained(tmp_path / "again")
        close(logits(load(tmp_path / "again", reader=reader), inputs), expected)


def test_a_users_own_backbone_is_not_changed(folders, model, inputs):
    backbone = make_backbone(model.config.backbone_config.model_type)
    before = backbone_checksum(backbone, exact=True)
    loaded = load(folders / "memory-only", backbone=backbone)
    close(logits(loaded, inputs), logits(model, inputs))
    assert backbone_checksum(backbone, exact=True) == before
    with pytest.raises(ValueError, match="must be a plain vision-language model"):
        load(folders / "memory-only", backbone=backbone)  # the first adapter is beside its weights


def test_changed_weights_have_another_fingerprint(folders, model):
    if not model.memory_encoder.shares_weights:
        pytest.skip("such an encoder does not stand on the reader's weights")
    for kind in ("beside", "merged"):
        for reader in ("adapter", "trainable"):
            loaded = load(folders / kind, reader=reader)
            layer = loaded.backbone.model.language_model.layers[0].self_attn.q_proj
            with torch.no_grad():
                getattr(layer, "base_layer", layer).weight.mul_(1.5)
            assert loaded.memory_fingerprint() != model.memory_fingerprint()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", ["memory_encoder.resampler.queries.weight", "norm"])
def test_a_single_number_that_is_written_changes_the_fingerprint(folders, model, name, dtype):
    if name == "norm":
        own = "memory_encoder.model." if model.config.encoder == "separate" else "backbone.model."
        name = f"{own}visual.merger.ln_q.weight"
    loaded = load(folders / "merged", dtype=dtype)
    other = copy.deepcopy(loaded)
    assert other.memory_fingerprint() == model.memory_fingerprint()
    for changed in (other, loaded):
        with torch.no_grad():
            changed.get_parameter(name).view(-1)[1] += 1
        assert changed.memory_fingerprint() != model.memory_fingerprint()
        assert copy.deepcopy(changed).memory_fingerprint() == changed.memory_fingerprint()


def test_copies_and_pickles_keep_the_fingerprint(folders, model):
    for dtype in (torch.float32, torch.float16):
        loaded = load(folders / "merged", dtype=dtype)
        for other in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
            assert other.memory_fingerprint() == model.memory_fingerprint()


def test_the_fingerprint_does_not_need_the_files_any_more(folders, model, tmp_path):
    load(folders / "merged").save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", dtype=torch.float16)
    make_model(seed=9).save_pretrained(tmp_path / "model")
    assert loaded.memory_fingerprint() == model.memory_fingerprint()


def test_state_dicts_of_the_other_kind_are_refused(folders, inputs):
    merged, beside = load(folders / "merged"), load(folders / "beside", reader="trainable")
    expected = logits(merged, inputs)
    for ours, theirs in ((merged, beside), (beside, merged)):
        with pytest.raises(ValueError, match="whether the reader adapter is merged into its weights"):
            ours.load_state_dict(theirs.state_dict())
    with pytest.raises(ValueError, match="load a checkpoint with `from_pretrained`"):
        beside.load_state_dict(load_file(folders / "merged" / "model.safetensors"))
    merged.load_state_dict(merged.state_dict())
    close(logits(merged, inputs), expected)


@pytest.mark.parametrize("reader", ["adapter", "plain"])
def test_damaged_factors_are_named(folders, tmp_path, reader):
    tensors = load_file(folders / "merged" / "model.safetensors")
    key = "reader_adapter.language_model.layers.0.self_attn.q_proj.lora_B.weight"
    for change in ({**tensors, key: tensors[key][:3]}, {k: v for k, v in tensors.items() if k != key}):
        load(folders / "merged").save_pretrained(tmp_path / "bad")
        save_file(change, tmp_path / "bad" / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ValueError, match=r"layers.0.self_attn.q_proj"):
            load(tmp_path / "bad", reader=reader)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"r": 0}, r"`reader_lora_config\['r'\]` must be a positive integer, got 0"),
        ({"rank": 4}, r"`reader_lora_config` has unknown keys \['rank'\]"),
        ({"merged": "yes"}, r"`reader_lora_config\['merged'\]` must be True or False, got 'yes'"),
        ({"lora_dropout": 2}, r"`reader_lora_config\['lora_dropout'\]` must be in \[0, 1\), got 2"),
    ],
)
def test_settings_that_are_wrong_are_refused_by_name(config, message):
    with pytest.raises(ValueError, match=message):
        CoMemConfig(reader_lora_config=config)
    assert CoMemConfig(reader_lora_config={}).reader_lora_config["r"] == 16


def test_a_way_that_is_unknown_and_a_second_adapter_are_refused(folders, model):
    with pytest.raises(ValueError, match=r"`reader` must be one of \['adapter', 'plain', 'trainable'\], got 'base'"):
        AutoModel.from_pretrained(folders / "merged", reader="base")
    with pytest.raises(ValueError, match="load it with `reader='trainable'`"):
        copy.deepcopy(model).add_reader_adapter()


def test_a_new_adapter_changes_nothing(family, inputs):
    model = make_model(family)
    fingerprint, expected = model.memory_fingerprint(), logits(model, inputs)
    model.add_reader_adapter(r=2)
    assert torch.equal(logits(model, inputs), expected)
    assert copy.deepcopy(model).memory_fingerprint() == model.memory_fingerprint() == fingerprint
