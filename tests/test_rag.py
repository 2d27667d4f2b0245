"""Items in the prompt: one way to write them, and which part comes first is its argument."""

import pytest

from comem_hf import MemoryItem
from comem_hf.answering import question_inputs
from comem_hf.rag import item_turns
from comem_hf.training import TrainingSample, items_in_context
from tests.conftest import make_image


SIDES = [make_image(2), make_image(4)]
ITEMS = [MemoryItem(image=make_image(1), text="First."), MemoryItem(text="Second."), MemoryItem(images=SIDES)]
PICTURE = {"type": "image"}


def texts(turns: list[dict]) -> list[list[str]]:
    return [[part.get("text", "image") for part in turn["content"]] for turn in turns]


@pytest.mark.parametrize("picture_first, first", [(True, ["image", "First."]), (False, ["First.", "image"])])
def test_an_item_is_a_turn_of_what_it_has(picture_first, first):
    turns, images = item_turns(ITEMS, picture_first=picture_first)
    assert texts(turns) == [first, ["Second."], ["image", "image"]]
    assert images == [ITEMS[0].image, *SIDES]
    assert {turn["role"] for turn in turns} == {"user"}


def test_questions_and_training_samples_show_items_in_the_same_words(tiny_processor):
    parts = [PICTURE, {"type": "text", "text": "What?"}]
    for picture_first in (True, False):
        question = {"role": "user", "content": parts if picture_first else parts[::-1]}
        sample = TrainingSample([question], [make_image(3)], ITEMS)
        shown = items_in_context(sample, picture_first=picture_first)
        prompt = tiny_processor.apply_chat_template(shown.messages, add_generation_prompt=True)
        expected = tiny_processor(text=[prompt], images=shown.images, return_tensors="pt")
        inputs = question_inputs(tiny_processor, ["What?"], [make_image(3)], [ITEMS], picture_first=picture_first)
        assert inputs["input_ids"].tolist() == expected["input_ids"].tolist()
        assert inputs["pixel_values"].equal(expected["pixel_values"])
