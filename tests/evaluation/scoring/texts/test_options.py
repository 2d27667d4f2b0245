import pytest

from comem_hf.evaluation.scoring.texts.options import option_named


BIRDS = ("Ash Tern", "Grey Gull", "River Owl", "Sand Crake")


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        "b",
        "(B)",
        "[b]",
        '"B"',
        "B.",
        "B) I think",
        "B: Grey Gull",
        "B Grey Gull",
        "Option B",
        "选B",
        "Ｂ",
        "2",
        "２",
    ]
    + ["2.", "(2)", "2. Grey Gull", "Opción 2", "Вариант 2", "选项2", "grey gull", "Grey Gull.", " GREY GULL "],
)
def test_letters_numbers_and_texts_name_an_option(answer):
    assert option_named(answer, BIRDS) == 1


@pytest.mark.parametrize(
    "answer",
    ["", "E", "0", "5", "12", "Birds", "a gull", "A dog", "2 gulls", "2. Ash Tern", "B or A", "В", "gull", "."],
)
def test_other_answers_name_none(answer):
    assert option_named(answer, BIRDS) is None


def test_a_number_counts_before_an_option_that_reads_like_it():
    assert option_named("2", ("2", "3")) == 1
    assert option_named("7", ("7", "8")) == 0


def test_a_text_that_two_options_have_names_none():
    assert option_named("same", ("same", "Same")) is None


def test_the_text_of_an_option_counts_before_its_first_letter():
    assert option_named("A. Lincoln", ("B. Obama", "A. Lincoln")) == 1
