"""What is cut of prompts that are too long, and what is not."""

import pytest

from comem_hf.training import MemoryCollator
from comem_hf.training.data.sample import TrainingSample
from tests.conftest import make_image


def turn(role: str, content) -> dict:
    return {"role": role, "content": content}


PICTURE = make_image(1)
ROW = {
    "images": [PICTURE],
    "messages": [
        turn("system", "Be brief."),
        turn("user", "One?"),
        turn("assistant", "Yes"),
        turn("user", "<image>Two?"),
        turn("assistant", "No"),
        turn("user", "Three?"),
        turn("assistant", "Perhaps"),
        turn("user", "What is the last of all questions?"),
        turn("assistant", "This one"),
    ],
    "memories": [{"image": PICTURE, "text": "An item " * 50}],
}


def said(sample: TrainingSample) -> list[str]:
    return ["".join(part.get("text", "<image>") for part in message["content"]) for message in sample.messages]


def test_old_turns_go_first_then_the_end_of_the_last_question_and_never_pictures_or_answers(tiny_processor):
    whole = said(TrainingSample.from_row(ROW))
    length = MemoryCollator(tiny_processor)([ROW])["input_ids"].shape[1]
    first, third = whole[1:3], whole[5:7]
    turns = {1: whole[:1] + whole[3:], 60: whole[:1] + whole[3:5] + whole[7:]}

    least = len(
        MemoryCollator(tiny_processor)(
            [
                {
                    **ROW,
                    "messages": [
                        *ROW["messages"][:1],
                        *ROW["messages"][3:5],
                        turn("user", "W"),
                        turn("assistant", "This one"),
                    ],
                }
            ]
        )["input_ids"][0]
    )

    def cut(limit: int) -> list[str] | None:
        collator = MemoryCollator(tiny_processor, max_length=limit)
        sample = collator.rows.limit.fit(TrainingSample.from_row(ROW), [PICTURE.size])
        if sample is None:
            with pytest.raises(
                ValueError, match=rf"the sample: .* longer than `max_length` {limit}; {least} would do\."
            ):
                collator([TrainingSample.from_row(ROW)])
            return None
        batch = collator([ROW])
        assert batch["input_ids"].shape[1] <= limit
        assert len(batch["image_grid_thw"]) == 1 and batch["memory_inputs"]["input_ids"].shape[1] > 400
        assert collator.rows.num_cut == (limit < length)
        return said(sample)

    assert cut(length) == whole
    assert cut(length - 1) == [text for text in whole if text not in first] == turns[1]
    assert cut(length - 60) == [text for text in whole if text not in first + third] == turns[60]
    shortest = next(limit for limit in range(1, length) if cut(limit) is not None)
    assert shortest == least
    assert cut(shortest) == [*turns[60][:3], "W", "This one"]  # a token is a character here
    assert cut(shortest + 8) == [*turns[60][:3], "What is t", "This one"]


def test_the_teacher_reads_the_same_cut_conversation(tiny_processor):
    batch = MemoryCollator(tiny_processor, max_length=130, with_teacher=True)([ROW])
    labels = [part["labels"][part["labels"] != -100].tolist() for part in (batch, batch["teacher_inputs"])]
    assert labels[0] == labels[1]
    assert batch["teacher_inputs"]["input_ids"].shape[1] > 400
    prompt = tiny_processor.tokenizer.decode(batch["teacher_inputs"]["input_ids"][0])
    assert prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nAn item")


def test_a_limit_that_is_no_length_is_refused(tiny_processor):
    with pytest.raises(ValueError, match="`max_length` must be a positive number of tokens or None, got 0"):
        MemoryCollator(tiny_processor, max_length=0)
