"""How often a disturbed picture finds its item."""

from comem_hf.evaluation import DISTURBANCES, recall_at_1


def test_recall_looks_for_each_item_among_all(bank):
    recall = recall_at_1(bank)
    assert set(recall) == set(DISTURBANCES)
    assert all(0 <= value <= 1 for value in recall.values())
    assert recall["jpeg"] == 1.0


def test_each_query_is_embedded_once(calibrated_bank, embedded):
    recall_at_1(calibrated_bank, ["item-1", "item-7"])
    assert embedded == [2] * len(DISTURBANCES)
