"""Banks note by which rules their pictures were read; older ones warn where that matters, and only there."""

import io
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.pictures import older_pictures
from comem_hf.default import default_path
from comem_hf.modeling.picture_pixels_comem import PICTURE_RULES
from tests.bank.conftest import change_config
from tests.conftest import make_image


def logo(seed: int) -> PIL.Image.Image:
    image = make_image(seed).convert("RGBA")
    image.putalpha(100)
    return image


def as_older(folder):
    """Make a bank say nothing about its rules, as banks of older versions."""
    path = folder / "bank_config.json"
    config = json.loads(path.read_text())
    del config["picture_rules"]
    path.write_text(json.dumps(config))


def warnings(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.fixture(scope="module")
def logos(build, items, tmp_path_factory):
    folder = tmp_path_factory.mktemp("logos") / "bank"
    items = [*items[:4], MemoryItem(image=logo(11), text="A logo.", id="logo"), MemoryItem(image=logo(12), id="other")]
    return build(items, output_dir=folder).folder


@pytest.fixture
def older(logos, tmp_path):
    shutil.copytree(logos, tmp_path / "older")
    as_older(tmp_path / "older")
    return tmp_path / "older"


def test_a_new_bank_notes_the_rules_and_opens_without_a_word(logos, caplog):
    assert MemoryBank.from_pretrained(logos).config.picture_rules == PICTURE_RULES == 2
    assert warnings(caplog) == []


def test_an_older_bank_warns_once_of_pictures_that_may_differ(older, caplog):
    bank = MemoryBank.from_pretrained(older)
    [message] = warnings(caplog)
    assert bank.config.picture_rules == 1
    assert message.startswith(f"The bank {str(older)!r} was made by an older version of comem_hf")
    assert "2 of 6 may be such, that of item 'logo' for one" in message


def test_an_older_bank_of_ordinary_pictures_opens_without_a_word(copy, caplog):
    as_older(copy)
    MemoryBank.from_pretrained(copy).verify()
    assert warnings(caplog) == []


def test_removed_pictures_do_not_count(older, caplog):
    bank = MemoryBank.from_pretrained(older)
    bank.remove(["logo", "other"])
    caplog.clear()
    assert MemoryBank.from_pretrained(older).config.picture_rules == 1
    assert warnings(caplog) == []


def test_of_a_large_bank_only_the_first_files_are_looked_at_until_it_is_verified(older, monkeypatch, caplog):
    sizes = BankConfig.load(older).files
    first = sizes["items-00000.parquet"]["size"]
    monkeypatch.setattr(older_pictures.warn_of_other_picture_rules, "__defaults__", (first, None))
    bank = MemoryBank.from_pretrained(older)
    assert warnings(caplog) == []  # the logos are in the second file
    bank.verify()
    assert "2 of 6 may be such" in warnings(caplog)[0]


def test_files_that_were_not_fetched_are_not_fetched_for_this(older, caplog):
    bank = MemoryBank.from_pretrained(older)
    caplog.clear()
    (older / "items-00000.parquet").unlink()
    older_pictures.warn_of_other_picture_rules(bank._state.items, bank._state.removed, math.inf)
    assert warnings(caplog) == []


def test_a_bank_of_newer_rules_asks_for_an_upgrade(copy, caplog):
    change_config(copy, picture_rules=PICTURE_RULES + 1)
    MemoryBank.from_pretrained(copy)
    assert "were read by the rules 3, but this version of comem_hf knows the rules up to 2" in warnings(caplog)[0]


def test_adding_and_merging_keep_the_oldest_rules(older, logos, model, tiny_processor, tmp_path):
    bank = MemoryBank.from_pretrained(older, model=model, processor=tiny_processor)
    bank.add([MemoryItem(image=make_image(30), id="new")])
    assert bank.config.picture_rules == 1
    merged = MemoryBank.merge([logos, older], tmp_path / "merged", on_conflict="first")
    assert merged.config.picture_rules == 1
    assert MemoryBank.merge([logos], tmp_path / "copy").config.picture_rules == 2


def test_a_build_that_an_older_version_began_goes_on_and_says_so(build, items, monkeypatch, tmp_path):
    import comem_hf.bank.building.shard_builder as module

    write_items = module.write_items

    def full_at_the_third(path, records):
        if "00002" in path.name:
            raise RuntimeError("Error: No space left on device (os error 28)")
        write_items(path, records)

    monkeypatch.setattr(module, "write_items", full_at_the_third)
    with pytest.raises(OSError):
        build(items, output_dir=tmp_path / "bank")
    monkeypatch.undo()
    note = tmp_path / "bank.unfinished" / "journal" / "00000.json"
    shard = json.loads(note.read_text())
    assert shard.pop("picture_rules") == 2
    note.write_text(json.dumps(shard))
    assert build(items, output_dir=tmp_path / "bank").config.picture_rules == 1


def test_the_embedded_bank_opens_without_a_word_and_its_pictures_depend_on_no_rules(caplog):
    bank = MemoryBank.from_pretrained(default_path("bank"))
    assert bank.config.picture_rules == 2 and warnings(caplog) == []
    for item_id in bank.ids:
        stored = bank[item_id].image
        assert (stored.mode, stored.info) == ("RGB", {})
        assert bank[item_id].load_image().tobytes() == stored.tobytes()


def test_rules_that_are_no_number_are_refused(copy):
    for value in (0, True, "2", None):
        change_config(copy, picture_rules=value)
        with pytest.raises(ValueError, match="`picture_rules` must be an integer from 1"):
            BankConfig.load(copy)


def test_four_black_logos_find_themselves(build, tmp_path):
    def black(shape: int) -> PIL.Image.Image:
        pixels = np.zeros((56, 56, 4), dtype=np.uint8)
        pixels[shape * 14 : shape * 14 + 14, :, 3] = 255
        return PIL.Image.fromarray(pixels)

    bank = build([MemoryItem(image=black(shape), id=str(shape)) for shape in range(4)], output_dir=tmp_path / "bank")
    for shape in range(4):
        buffer = io.BytesIO()
        black(shape).save(buffer, "WEBP", lossless=True)
        hits = bank.search(image=buffer, k=4)
        assert hits[0].item.id == str(shape) and hits[0].score > 0.9999
        assert hits[1].score < hits[0].score - 1e-6  # not the same picture


def test_of_a_large_bank_only_the_first_items_are_looked_at_when_it_is_opened(build, tmp_path, caplog):
    transparent = PIL.Image.new("RGBA", (56, 56), (0, 0, 0, 9))
    items = [MemoryItem(image=make_image(n), id=str(n)) for n in range(3)] + [MemoryItem(image=transparent, id="logo")]
    bank = build(items, output_dir=tmp_path / "bank")
    config = replace(bank.config, picture_rules=1)
    items, removed = StoredItems(bank.folder, config), np.empty(0, dtype=np.int64)
    for most_items, is_seen in ((3, False), (4, True), (None, True)):
        caplog.clear()
        older_pictures.warn_of_other_picture_rules(items, removed, most_items=most_items)
        assert ("that of item 'logo'" in caplog.text) == is_seen
