"""Items of questions from a bank."""

from comem_hf.evaluation.asking.items import BankItems
from tests.conftest import make_image


def test_a_bank_is_searched_once_by_one_embedding_of_each_picture(calibrated_bank, embedded, benchmark_questions):
    questions, pictures = benchmark_questions.questions[:2], [make_image(7, (112, 84)), make_image(2, (112, 84))]
    source = BankItems(calibrated_bank, depth=2)
    rows = source.find(questions, pictures)
    assert [(len(row), row[0].id) for row in rows] == [(2, "item-7"), (2, "item-2")]
    assert source.find(questions, pictures) == rows and embedded == [2]
