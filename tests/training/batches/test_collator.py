"""Batches: what is learned, what is padded, what the model gets."""

import PIL.Image
import pytest
import torch

from comem_hf import MemoryItem
from comem_hf.training import MemoryCollator, MemoryDataset, items_in_context
from comem_hf.training.checks.survey import survey
from comem_hf.training.data.length_groups import PICTURE, length_of
from comem_hf.training.data.sample import TrainingSample
from tests.conftest import make_image


def learned(batch, tokenizer) -> list[str]:
    return [tokenizer.decode(labels[labels != -100]) for labels in batch["labels"]]


def test_labels_are_the_answer_and_the_end_of_its_turn(rows, tiny_processor):
    batch = MemoryCollator(tiny_processor)(rows)
    assert learned(batch, tiny_processor.tokenizer) == [f"{answer}<|im_end|>\n" for answer in "0149"]
    is_learned = batch["labels"] != -100
    assert torch.equal(batch["labels"][is_learned], batch["input_ids"][is_learned])


def test_every_assistant_turn_is_learned(tiny_processor):
    turns = ["One?", "Yes", "Two?", "No"]
    conversations = [{"from": ("human", "gpt")[i % 2], "value": value} for i, value in enumerate(turns)]
    batch = MemoryCollator(tiny_processor)([{"conversations": conversations}])
    assert learned(batch, tiny_processor.tokenizer) == ["Yes<|im_end|>\nNo<|im_end|>\n"]


def test_prompt_equals_what_the_processor_gives_at_generation(rows, tiny_processor):
    row = rows[0]
    batch = MemoryCollator(tiny_processor)([row])
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": row["question"]}]}]
    prompt = tiny_processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    expected = tiny_processor(
        text=[prompt], images=[row["image"]], memories=[row["memories"]], return_tensors="pt", padding=True
    )
    length = expected["input_ids"].shape[1]
    assert torch.equal(batch["input_ids"][:, :length], expected["input_ids"])
    assert torch.equal(batch["mm_token_type_ids"][:, :length], expected["mm_token_type_ids"])
    assert (batch["labels"][:, :length] == -100).all()
    assert (batch["labels"][:, length:] != -100).all()
    for key in ("pixel_values", "image_grid_thw"):
        assert torch.equal(batch[key], expected[key])
    for key, tensor in expected["memory_inputs"].items():
        assert torch.equal(batch["memory_inputs"][key], tensor)


def test_batch_is_padded_on_the_left(rows, tiny_processor):
    collator = MemoryCollator(tiny_processor)
    batch = collator(rows)
    for i, row in enumerate(rows):
        alone = collator([row])
        length = alone["input_ids"].shape[1]
        for key in ("input_ids", "labels", "attention_mask", "mm_token_type_ids"):
            assert torch.equal(batch[key][i, -length:], alone[key][0])
        assert (batch["attention_mask"][i, :-length] == 0).all()
        assert (batch["labels"][i, :-length] == -100).all()


def test_batch_loss_is_that_of_single_samples(rows, tiny_processor, tiny_model):
    collator = MemoryCollator(tiny_processor)
    with torch.no_grad():
        losses = [tiny_model(**collator([row])).loss for row in rows]
        together = tiny_model(**collator(rows)).loss
    counts = torch.tensor([(collator([row])["labels"] != -100).sum() for row in rows])
    torch.testing.assert_close(together, (torch.stack(losses) * counts).sum() / counts.sum(), rtol=1e-4, atol=1e-4)


def test_rows_without_items_make_a_plain_backbone_batch(rows, tiny_processor, tiny_model):
    batch = MemoryCollator(tiny_processor)([rows[2]])
    assert "memory_inputs" not in batch
    with torch.no_grad():
        assert torch.equal(tiny_model(**batch).loss, tiny_model.backbone(**batch).loss)


def test_rows_without_images_make_a_batch_without_pixels(rows, tiny_processor):
    assert "pixel_values" not in MemoryCollator(tiny_processor)([rows[1]])


def test_max_memories_keeps_the_first_items(rows, tiny_processor):
    batch = MemoryCollator(tiny_processor, max_memories=1)(rows)
    assert batch["memory_inputs"]["item_counts"].tolist() == [1, 1, 0, 1]
    expected = tiny_processor.process_memories([rows[1]["memories"][:1]])["input_ids"][0]
    assert torch.equal(batch["memory_inputs"]["input_ids"][1], expected)


def test_teacher_reads_the_items_in_its_prompt_and_learns_the_same_answers(rows, tiny_processor):
    batch = MemoryCollator(tiny_processor, with_teacher=True)(rows)
    teacher = batch["teacher_inputs"]
    assert learned(teacher, tiny_processor.tokenizer) == learned(batch, tiny_processor.tokenizer)
    assert "Item 1 is 1." in tiny_processor.tokenizer.decode(teacher["input_ids"][1])
    assert len(teacher["image_grid_thw"]) == 3 + 4


def test_items_in_context_stand_in_turns_before_the_question():
    image = PIL.Image.new("RGB", (56, 56))
    row = {
        "question": "Who?",
        "answer": "Ada",
        "memories": [MemoryItem(image=image, text="Ada"), MemoryItem(text="B")],
    }
    sample = TrainingSample.from_row(row)
    inlined = items_in_context(sample)
    assert [message["role"] for message in inlined.messages] == ["user", "user", "user", "assistant"]
    assert inlined.messages[0]["content"] == [{"type": "text", "text": "Ada"}, {"type": "image"}]
    assert inlined.messages[2:] == sample.messages
    assert inlined.images == [image]
    assert inlined.memories == []


def test_unreadable_image_is_refused_by_row(rows, tiny_processor, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = {**rows[0], "image": str(tmp_path / "broken.png")}
    with pytest.raises(ValueError, match=r"row 1 of the batch: .*broken.png' is not a readable picture"):
        MemoryCollator(tiny_processor)([rows[1], broken])


def test_all_pictures_of_an_item_are_looked_at_opened_and_shown(tiny_processor, tmp_path):
    files = [tmp_path / f"{side}.png" for side in range(3)]
    for side, file in enumerate(files):
        make_image(side, (56, 56 + 28 * side)).save(file)
    shoe = {"images": ["0.png", "1.png"], "text": "A shoe."}
    row = {"question": "What?", "answer": "It.", "memories": [shoe, {"images": ["1.png", "0.png"], "text": "A shoe."}]}
    data = MemoryDataset([row, {**row, "memories": [shoe, {"image": "2.png"}, {"text": "Red."}]}], base_dir=tmp_path)
    batch = (collator := MemoryCollator(tiny_processor, with_teacher=True, with_true_items=True))([data[0], data[1]])
    expected = tiny_processor.process_memories([sample.memories for sample in data], once=True)
    assert expected["item_index"].tolist() == [0, 1, 0, 2, 3]
    assert all(torch.equal(batch["memory_inputs"][name], expected[name]) for name in expected)
    assert len(batch["teacher_inputs"]["image_grid_thw"]) == 4 + 3
    assert batch["true_items"].tolist() == [[0, 0], [0, 0]]
    assert [length_of(sample) // PICTURE for sample in data] == [4, 3]
    assert len(survey(data, collator)) == 2
    files[1].write_bytes(files[1].read_bytes()[:-60])
    with pytest.raises(ValueError, match="2 of 2 rows .* row 1: .*1.png' is not a readable picture"):
        survey(data, collator)
    with pytest.raises(ValueError, match="row 1: .*1.png' is not a readable picture"):
        collator([data[0]])


def test_image_token_in_a_question_is_refused(rows, tiny_processor):
    row = {**rows[1], "question": "What is <|image_pad|>?"}
    with pytest.raises(ValueError, match=r"must show <\|image_pad\|> once for each of its 0 images"):
        MemoryCollator(tiny_processor)([row])


def test_negative_number_of_items_is_refused(tiny_processor):
    with pytest.raises(ValueError, match="`max_memories` must be a number of items or None for all, got -1"):
        MemoryCollator(tiny_processor, max_memories=-1)
