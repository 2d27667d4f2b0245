import pytest

from comem_hf.evaluation.benchmarks.files.halves import first_of_both


@pytest.mark.parametrize(
    ("limit", "rows"),
    [
        (None, "aaAbAB"),
        (0, ""),
        (1, "a"),
        (2, "aA"),
        (3, "aaA"),
        (4, "aaAA"),
        (5, "aaAbA"),
        (6, "aaAbAB"),
        (9, "aaAbAB"),
    ],
)
def test_rows_come_in_their_order_at_most_half_of_them_of_each_half(limit, rows):
    assert "".join(first_of_both("aaAbAB", limit, str.isupper)) == rows


def test_rows_are_read_no_further_than_is_needed():
    rows = iter("aAbB")
    assert list(first_of_both(rows, 2, str.isupper)) == ["a", "A"] and list(rows) == ["b", "B"]
