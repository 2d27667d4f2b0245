"""The second view of a picture."""

import pytest

from comem_hf.bank.scores.second_view import second_view
from tests.conftest import make_image


@pytest.mark.parametrize(
    "size, expected",
    [((100, 60), (90, 54)), ((4000, 2000), (1024, 512)), ((2090, 11), (1024, 5)), ((1, 1), (1, 1)), ((5, 5), (5, 5))],
)
def test_a_second_view_is_framed_closer_and_never_too_narrow_or_large(size, expected):
    picture = make_image(0, size)
    assert second_view(picture).size == expected
    assert picture.size == size  # which stays
