"""Pictures and questions to start with."""

import pytest

from comem_hf import MemoryItem
from comem_hf.app.examples import bank_examples, embedded_examples, questions_for
from comem_hf.default import default_path
from comem_hf.modeling.picture_comem import load_image
from tests.conftest import make_image


class Bank:
    """Of items without pictures but the third and the last two."""

    ids = [f"item-{number}" for number in range(9)] + ["long-" * 20 + "9"]

    def __getitem__(self, item_id: str) -> MemoryItem:
        number = int(item_id[-1])
        return MemoryItem(image=make_image(number) if number in (2, 8, 9) else None, text="A fact.", id=item_id)


def test_the_embedded_examples_are_named_and_unchanged():
    examples = embedded_examples()
    assert [example.name for example in examples] == ["Armenia", "Greece", "Papua New Guinea"]
    for example, path in zip(examples, sorted(default_path("examples").glob("*.png")), strict=True):
        assert example.picture.tobytes() == load_image(path).tobytes()


@pytest.mark.parametrize(
    "count, names", [(2, ["item-2", "item-8"]), (6, ["item-2", "item-8", "long-long-long-long-lon…"])]
)
def test_examples_of_a_bank_are_its_first_pictures(count, names):
    assert [example.name for example in bank_examples(Bank(), count)] == names


def test_questions_about_flags_are_for_the_embedded_bank_only():
    assert any("country" in question for question in questions_for(embedded=True))
    assert not any("country" in question for question in questions_for(embedded=False))
