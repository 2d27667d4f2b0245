"""What a bank says of itself."""


def test_a_bank_says_what_it_is(bank):
    assert repr(bank).startswith("MemoryBank(7 items of 8 x 64 float32, embedder='backbone', folder=")
    assert len(bank) == 7
    assert bank.ids == [f"item-{number}" for number in range(7)]


def test_a_bank_is_read_like_a_mapping_of_ids(bank, items):
    assert list(bank) == bank.ids == [item.id for item in items]
    assert "item-3" in bank and "item-7" not in bank
