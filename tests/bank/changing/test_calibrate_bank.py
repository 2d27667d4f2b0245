"""Probabilities for a bank that exists, and what changes of the bank do to them."""

import json

import pytest

from comem_hf import MemoryBank, MemoryItem
from tests.bank.conftest import change_config, contents
from tests.conftest import make_image


@pytest.fixture(scope="module")
def dozen() -> list[MemoryItem]:
    return [MemoryItem(image=make_image(seed), text=f"Fact {seed}.", id=f"item-{seed}") for seed in range(12)]


@pytest.fixture(scope="module")
def made(build, dozen, tmp_path_factory) -> MemoryBank:
    return build(dozen, output_dir=tmp_path_factory.mktemp("made") / "bank")


@pytest.fixture
def ours(made, model, tiny_processor, tmp_path) -> MemoryBank:
    made.save_pretrained(tmp_path / "bank")
    return MemoryBank.from_pretrained(tmp_path / "bank", model=model, processor=tiny_processor)


def forget(ours) -> None:
    """Make the bank one of an older version."""
    values = json.loads((ours.folder / "bank_config.json").read_text())
    del values["calibration"]
    (ours.folder / "bank_config.json").write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
    ours.reload()


def test_a_bank_of_an_older_version_has_no_probabilities_until_it_is_calibrated(ours, made, dozen):
    forget(ours)
    picture = dozen[0].image
    assert not ours.is_calibrated and ours.search(image=picture)[0].probability is None
    with pytest.raises(ValueError, match=r"`bank.calibrate\(\)` or `comem calibrate` fits them"):
        ours.search(image=picture, min_score=0.5)
    with pytest.raises(ValueError, match=r"`bank.calibrate\(\)` or `comem calibrate` fits them"):
        ours.check_min_score(0.5)
    with pytest.raises(ValueError, match="not calibrated"):
        ours.plot_calibration(ours.folder / "scores.png")
    before = contents(ours.folder)
    ours.calibrate()
    assert ours.search(image=picture, min_score=0.5)[0].item.id == "item-0"
    after = contents(ours.folder)
    assert {name for name in after if before.get(name) != after[name]} <= {"bank_config.json", "README.md"}
    assert after == contents(made.folder)  # as if it had been built so
    assert ours.config.generation == 0
    ours.verify()


def test_to_calibrate_again_changes_nothing(ours):
    before = contents(ours.folder)
    ours.calibrate()
    assert contents(ours.folder) == before


def test_adding_and_removing_keep_the_fit(ours, dozen):
    block = ours.config.calibration
    ours.add([MemoryItem(image=make_image(50), text="New.", id="new")])
    ours.remove(["item-0"])
    assert ours.config.calibration == block
    assert ours.search(image=make_image(50), min_score=0.5)[0].item.id == "new"
    assert "item-0" not in {hit.item.id for hit in ours.search(image=dozen[0].image, k=12)}
    ours.calibrate()
    assert ours.config.calibration != block


def test_a_copy_keeps_the_fit_and_a_merged_bank_has_none(ours, tmp_path):
    ours.remove(["item-3"])
    ours.save_pretrained(tmp_path / "copy")
    assert MemoryBank.from_pretrained(tmp_path / "copy").config.calibration == ours.config.calibration
    merged = MemoryBank.merge([ours], tmp_path / "merged")
    assert not merged.is_calibrated
    merged.calibrate()
    assert merged.is_calibrated


def test_another_bank_that_is_open_sees_the_fit_when_it_is_reloaded(ours, model, tiny_processor):
    forget(ours)
    other = MemoryBank.from_pretrained(ours.folder, model=model, processor=tiny_processor)
    ours.calibrate()
    assert not other.is_calibrated and other.reload().is_calibrated


def test_a_bank_of_few_items_is_refused(mine):
    with pytest.raises(ValueError, match="cannot be calibrated: the bank has 7 items, and at least 8"):
        mine.calibrate()


@pytest.mark.parametrize("name, value", [("pictures", 7), ("pictures", 9.5), ("batch_size", 0), ("batch_size", True)])
def test_counts_that_make_no_sense_are_refused(ours, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer from"):
        ours.calibrate(**{name: value})


def test_without_a_model_and_in_the_installed_package_it_is_refused(ours):
    from comem_hf.default import default_path

    with pytest.raises(ValueError, match="attach"):
        MemoryBank.from_pretrained(ours.folder).calibrate()
    with pytest.raises(ValueError, match="part of the installed package"):
        MemoryBank.from_pretrained(default_path("bank")).calibrate()


def test_a_damaged_block_is_refused_when_the_bank_is_opened(ours):
    change_config(ours.folder, calibration={"method": "log-distance-ratios"})
    with pytest.raises(ValueError, match="is damaged: `calibration` must have the entries"):
        MemoryBank.from_pretrained(ours.folder)


def test_a_block_of_a_later_version_is_kept_and_not_used(ours, dozen):
    change_config(ours.folder, calibration={"method": "later"})
    ours.reload()
    assert not ours.is_calibrated and ours.search(image=dozen[0].image)[0].probability is None
    ours.remove(["item-1"])
    assert ours.config.calibration == {"method": "later"}
