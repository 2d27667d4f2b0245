"""A bank is used with its own model in any precision, and with no other model unless one says so."""

import copy as copies
import json
import pickle

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModel, BitsAndBytesConfig

from comem_hf import CoMemForConditionalGeneration, MemoryBank, MemoryItem
from tests.conftest import make_image


LOADED = {
    "float32": {},
    "bfloat16": {"dtype": "bfloat16"},
    "float16": {"dtype": "float16"},
    "8 bit": {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)},
    # Its kernels want layers of multiples of 64.
    "4 bit": {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, llm_int8_skip_modules=["model.visual", "down_proj", "lm_head"]
        )
    },
}


@pytest.fixture(scope="module")
def checkpoints(model, tmp_path_factory):
    """The bank's model, full and memory-only."""
    folder = tmp_path_factory.mktemp("checkpoints")
    model.backbone.save_pretrained(folder / "backbone")
    model.save_pretrained(folder / "full")
    model.save_pretrained(folder / "memory-only", memory_only=True)
    return folder


@pytest.fixture
def open_bank(copy, tiny_processor):
    def open_bank(model, **options) -> MemoryBank:
        return MemoryBank.from_pretrained(copy).attach(model, tiny_processor, **options)

    return open_bank


@pytest.mark.parametrize("kind", ["full", "memory-only"])
@pytest.mark.parametrize("precision", LOADED)
def test_its_model_is_attached_in_any_precision_and_that_is_said_once(
    checkpoints, open_bank, bank, caplog, precision, kind
):
    backbone = {} if kind == "full" else {"backbone": checkpoints / "backbone"}
    loaded = CoMemForConditionalGeneration.from_pretrained(checkpoints / kind, **backbone, **LOADED[precision])
    opened = open_bank(loaded)
    hits = opened.search(image=make_image(3), k=1)
    opened.memory_inputs([hits])
    assert hits[0].item.id == "item-3"
    said = [record.message for record in caplog.records if "is loaded in" in record.message]
    assert [f"is loaded in {precision}" in message for message in said] == [True] * (
        precision not in ("float32", "bfloat16")
    )


def test_a_model_rounded_after_loading_keeps_the_fingerprint_until_it_is_trained(checkpoints, model):
    loaded = AutoModel.from_pretrained(checkpoints / "full").half()
    assert loaded.memory_fingerprint() == model.memory_fingerprint()
    with torch.no_grad():
        loaded.memory_encoder.resampler.norm.weight.add_(1)
    assert loaded.memory_fingerprint() != model.memory_fingerprint()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")  # PEFT's own use of it
@pytest.mark.parametrize("change", ["trained", "merged"])
def test_weights_that_change_after_attaching_are_noticed(model, open_bank, change):
    changed = copies.deepcopy(model)
    opened = open_bank(changed)
    hits = opened.search(image=make_image(3), k=1)
    if change == "trained":
        with torch.no_grad():
            changed.memory_encoder.resampler.queries.weight[0, 0] += 1
    else:
        get_peft_model(changed, LoraConfig(target_modules=["q_proj"], init_lora_weights=False)).merge_and_unload()
    for use in (lambda: opened.search(image=make_image(3)), lambda: opened.memory_inputs([hits])):
        with pytest.raises(ValueError, match="weights of the model were changed since it was attached") as error:
            use()
        fingerprints = opened.config.memory_fingerprint, changed.memory_fingerprint()
        assert all(fingerprint in str(error.value) for fingerprint in fingerprints)
        assert "allow_changed_model=True" in str(error.value) and "float32" not in str(error.value)


def test_a_changed_model_is_allowed_by_name_and_warned_of(other_model, open_bank, bank, caplog):
    with pytest.raises(ValueError, match=r"does not fit this model: .*`attach\(model, processor, allow_changed_model"):
        open_bank(other_model)
    opened = open_bank(other_model, allow_changed_model=True)
    opened.attach(other_model, opened._processor)  # as the pipeline does it
    assert opened.search(image=make_image(3))
    warned = [record.message for record in caplog.records if "vectors that were not made for it" in record.message]
    assert len(warned) == 1
    assert all(fingerprint in warned[0] for fingerprint in (bank.config.memory_fingerprint, "and this model's is"))
    with pytest.raises(ValueError, match="Items cannot be added to .* with a changed model: .* build a new bank"):
        opened.add([MemoryItem(image=make_image(90), text="New.")])


def test_a_changed_model_that_is_allowed_stays_so_when_a_bank_is_opened_verified_merged_copied_or_pickled(
    other_model, model, tiny_processor, copy, tmp_path
):
    opened = MemoryBank.from_pretrained(copy, model=other_model, processor=tiny_processor, allow_changed_model=True)
    assert opened.verify()["model"]
    merged = MemoryBank.merge([opened], tmp_path / "merged")
    unpickled = pickle.loads(pickle.dumps(opened))
    for each in (merged, copies.copy(opened), unpickled, MemoryBank.from_pretrained(copy, allow_changed_model=True)):
        assert each.attach(other_model, tiny_processor).search(image=make_image(3))
    with pytest.raises(ValueError, match="allow_changed_model=True"):
        pickle.loads(pickle.dumps(MemoryBank.from_pretrained(copy))).attach(other_model, tiny_processor)


def test_adding_with_a_rounded_encoder_warns_with_the_measured_difference(checkpoints, open_bank, caplog):
    for precision, expected in (("float16", "0.1%"), ("4 bit", "")):
        opened = open_bank(AutoModel.from_pretrained(checkpoints / "full", **LOADED[precision]))
        caplog.clear()
        opened.add([MemoryItem(image=make_image(90 + len(expected)), text="New.")])
        [said] = [record.message for record in caplog.records if "differ by up to" in record.message]
        assert said.startswith(f"The model is loaded in {precision}: encoded again, 4 stored items get vectors")
        share = float(said.split("up to ")[1].split("%")[0]) / 100
        assert share < 0.01 if precision == "float16" else 0.01 < share < 1


def test_a_bank_says_in_which_precision_its_vectors_were_made(checkpoints, open_bank, build, bank, items, tmp_path):
    assert "precision" not in json.loads((bank.folder / "bank_config.json").read_text())  # made by bfloat16, too
    half, four = (AutoModel.from_pretrained(checkpoints / "full", **LOADED[name]) for name in ("float16", "4 bit"))
    rounded = build(items[:2], model=half, output_dir=tmp_path / "rounded")
    assert rounded.config.precision == "float16"
    assert "the memory encoder in float16: the vectors are not exact" in (rounded.folder / "README.md").read_text()
    rounded.add([MemoryItem(image=make_image(90), text="New.")], model=four, processor=rounded._processor)
    assert MemoryBank.from_pretrained(rounded.folder).config.precision == "4 bit"
    rounded.add([MemoryItem(image=make_image(91), text="New.")], model=half, processor=rounded._processor)
    assert rounded.config.precision == "4 bit"
    extended = open_bank(half)
    extended.remove(["item-3"])
    assert extended.config.precision == "float32"
    extended.add([MemoryItem(image=make_image(92), text="New.")])
    assert extended.config.precision == "float16" and "in float16" in (extended.folder / "README.md").read_text()
    merged = MemoryBank.merge([bank, extended, rounded], tmp_path / "merged")
    assert merged.config.precision == "4 bit"
    merged.save_pretrained(tmp_path / "saved")
    assert MemoryBank.from_pretrained(tmp_path / "saved").config.precision == "4 bit"
