"""What a bank says of itself, and what it is not opened or attached with."""

import pytest

from comem_hf import MemoryBank


def test_a_bank_says_what_it_is(bank):
    assert repr(bank).startswith("MemoryBank(7 items of 8 x 64 float32, embedder='backbone', folder=")
    assert len(bank) == 7
    assert bank.ids == [f"item-{number}" for number in range(7)]


def test_a_bank_is_read_like_a_mapping_of_ids(bank, items):
    assert list(bank) == bank.ids == [item.id for item in items]
    assert "item-3" in bank and "item-7" not in bank


def test_an_argument_that_nobody_knows_is_refused_by_name(copy, model, tiny_processor):
    with pytest.raises(ValueError, match="Unknown argument `modle`"):
        MemoryBank.from_pretrained(copy, modle=model)
    assert len(MemoryBank.from_pretrained(copy, local_files_only=True, token=None)) == 7


def test_a_model_and_a_processor_are_told_from_names_and_from_each_other(copy, model, tiny_processor, items, tmp_path):
    bank = MemoryBank.from_pretrained(copy)
    for wrong, message in (
        (("x", tiny_processor), "`model` must be a CoMEM model, .*, got the string 'x'"),
        ((tiny_processor, model), "`model` must be a CoMEM model, .*, got a CoMemProcessor"),
        ((model, "x"), "`processor` must be the model's CoMemProcessor, .*, got the string 'x'"),
    ):
        with pytest.raises(ValueError, match=message):
            bank.attach(*wrong)
        with pytest.raises(ValueError, match=message):
            MemoryBank.build(items, model=wrong[0], processor=wrong[1], output_dir=tmp_path / "bank")
