"""Whether a bank fits a model and its processor: one rule for attaching, searching, adding, merging and `info`."""

import copy
import json

import pytest

from comem_hf import MemoryBank
from comem_hf.bank.encoding.fit import item_settings, refuse_other_model
from comem_hf.bank.format.config import BankConfig
from tests.bank.conftest import change_config
from tests.conftest import make_image


def changed(processor, **values):
    """A processor with other settings."""
    other = copy.copy(processor)
    other.image_processor = copy.deepcopy(processor.image_processor)
    other.tokenizer = copy.deepcopy(processor.tokenizer)
    for name, value in values.items():
        setattr(other if name.startswith("memory_") else other.image_processor, name, value)
    return other


CHANGES = [
    {"image_mean": [0.5, 0.5, 0.5]},
    {"image_std": [1.0, 1.0, 1.0]},
    {"do_rescale": False},
    {"rescale_factor": 1 / 127.5},
    {"do_normalize": False},
    {"do_resize": False},
    {"resample": 2},
]


def test_a_bank_says_how_its_items_were_prepared(bank, tiny_processor):
    assert bank.config.processor == item_settings(tiny_processor)
    assert bank.config.processor["image_mean"] == list(tiny_processor.image_processor.image_mean)
    assert json.loads((bank.folder / "bank_config.json").read_text())["processor"] == bank.config.processor


@pytest.mark.parametrize("change", CHANGES, ids=[next(iter(change)) for change in CHANGES])
def test_a_processor_that_prepares_pictures_in_another_way_is_refused(bank, model, tiny_processor, change):
    (name,) = change
    with pytest.raises(
        ValueError,
        match=rf"does not fit the processor of this model: .* `{name}` .* has {change[name]}".replace("[", r"\["),
    ):
        MemoryBank.from_pretrained(bank.folder).attach(model, changed(tiny_processor, **change))
    with pytest.raises(ValueError, match=f"does not fit the processor of the model 'm'.* `{name}`"):
        fingerprint = bank.config.memory_fingerprint
        refuse_other_model(bank.config, fingerprint, changed(tiny_processor, **change), "the model 'm'", "b")


def test_another_tokenizer_is_refused_and_one_with_added_tokens_is_not(bank, model, tiny_processor):
    other = changed(tiny_processor)
    other.tokenizer.add_tokens(["<obj>"])
    MemoryBank.from_pretrained(bank.folder).attach(model, other)
    other = changed(tiny_processor)
    other.tokenizer.add_tokens(["knowledge"])  # which cuts texts of items in another way
    with pytest.raises(ValueError, match="does not fit the processor of this model: .* `tokens`"):
        MemoryBank.from_pretrained(bank.folder).attach(model, other)


def test_a_processor_that_is_changed_after_it_was_attached_is_noticed(copy, model, tiny_processor, new_items):
    processor = changed(tiny_processor)
    bank = MemoryBank.from_pretrained(copy, model=model, processor=processor)
    processor.image_processor.image_mean = [0.5, 0.5, 0.5]
    for use in (lambda: bank.search(image=make_image(0)), lambda: bank.add(new_items)):
        with pytest.raises(ValueError, match="`image_mean`"):
            use()
    assert bank.config.generation == 0


def test_a_bank_of_an_older_version_opens_and_stays_as_it_is(copy, model, tiny_processor, new_items, tmp_path):
    config = json.loads((copy / "bank_config.json").read_text())
    del config["processor"]
    (copy / "bank_config.json").write_text(json.dumps(config))
    old = MemoryBank.from_pretrained(copy, model=model, processor=changed(tiny_processor, image_mean=[0.5, 0.5, 0.5]))
    assert old.config.processor is None and old.search(image=make_image(0), k=1)
    old.save_pretrained(tmp_path / "saved")
    assert "processor" not in json.loads((tmp_path / "saved" / "bank_config.json").read_text())
    assert MemoryBank.merge([old], tmp_path / "merged").config.processor is None


def test_banks_whose_items_were_prepared_in_other_ways_are_not_merged(copy, bank, tmp_path):
    change_config(copy, processor={**bank.config.processor, "resample": 2})
    with pytest.raises(ValueError, match="only be merged if their items were prepared alike, but .* `resample` 3 for"):
        MemoryBank.merge([bank, copy], tmp_path / "merged", on_conflict="first")


def test_a_config_whose_processor_is_no_mapping_is_refused(copy):
    change_config(copy, processor=[1])
    with pytest.raises(ValueError, match=r"`processor` must be a mapping or null, got \[1\]"):
        BankConfig.load(copy)
