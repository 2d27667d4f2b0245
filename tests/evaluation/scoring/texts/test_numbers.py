import pytest

from comem_hf.evaluation.scoring.texts.numbers import in_range, numbers_in


@pytest.mark.parametrize(
    ("text", "found"),
    {
        "9-10": (9, 10),
        "12 to 8": (12,),
        ".5": (5,),
        "-.5": (-0.5,),
        "3.4.5": (3.4, 5),
        "1e3": (1000,),
        "1,200 m": (1200,),
        "none": (0, 0),
        "−5": (5,),
        "-5": (-5,),
        "5 6 7": (5, 6),
        "-.5.3": None,
    }.items(),
)
def test_numbers_are_read_as_the_evaluator_reads_them(text, found):
    assert numbers_in(text) == found


def test_a_range_is_right_inside_or_with_half_of_the_union():
    assert in_range((213.3, 260.7), (210, 250)) == 1
    assert in_range((200, 220), (210, 250)) == 0
    assert in_range((210,), (210, 250)) == 1
    assert in_range((0, 0), (-1, 1)) == 1
    assert in_range(None, (-1, 1)) == 0
