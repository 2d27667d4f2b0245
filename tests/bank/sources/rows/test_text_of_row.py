"""Which field of a row is its text."""

import pytest

from comem_hf.bank.sources.rows.text_of_row import take_text


@pytest.mark.parametrize(
    "row, text, rest",
    [
        (
            {"prompt": "P", "title": "T", "caption": "C", "text": "X"},
            "X",
            {"prompt": "P", "title": "T", "caption": "C"},
        ),
        ({"text": None, "caption": float("nan"), "description": " ", "title": "T"}, "T", {}),
        ({"TEXT": "X", "URL": "u"}, "X", {"URL": "u"}),
        ({"Caption": "C", "caption": "c"}, "c", {"Caption": "C"}),
        ({"caption": ["One.", "Two."]}, "One.\nTwo.", {}),
        ({"description": {"a": 1}, "title": 1984, "prompt": "P"}, "P", {"description": {"a": 1}, "title": 1984}),
        ({"text": 3}, 3, {}),
        ({"label": "cat", 1: 2}, None, {"label": "cat", 1: 2}),
    ],
)
def test_the_first_name_that_holds_a_text_gives_it_and_the_others_stay(row, text, rest):
    assert take_text(row) == text and row == rest
