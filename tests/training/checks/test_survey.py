"""What is found out before the first step, and damaged pictures that are found later."""

import json

import datasets
import pytest
import torch

from comem_hf.training import (
    MemoryCollator,
    MemoryDataset,
    open_training_data,
    train_memory_encoder,
)
from comem_hf.training.checks.survey import survey
from tests.training.conftest import Interrupt, assert_equal, picture, state_of


@pytest.fixture
def folder(tmp_path):
    """Forty rows of different pictures, `rows.jsonl`."""
    lines = []
    for i in range(40):
        picture(6 * i).save(tmp_path / f"{i}.png")
        memories = [{"image": f"{i}.png", "text": f"Item {i}"}] if i % 2 else []
        lines.append(
            {"image": f"{i}.png", "question": f"What is {i}?", "answer": str(i), "memories": memories, "n": i}
        )
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def damage(path):
    """What a broken download leaves: a beginning that is right."""
    path.write_bytes(path.read_bytes()[:-60])


def test_rows_with_missing_damaged_and_long_pictures_are_left_out_and_counted(folder, tiny_processor, caplog):
    lines = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    lines[20]["image"], lines[21]["memories"][0]["text"] = None, None
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    longest = MemoryCollator(tiny_processor)([open_training_data(folder / "rows.jsonl")[39]])["input_ids"].shape[1]
    (folder / "7.png").unlink()
    (folder / "8.png").write_text("<html>not found</html>")
    collator = MemoryCollator(tiny_processor, max_length=longest - 1)
    data = survey(open_training_data(folder / "rows.jsonl"), collator)
    assert len(data) == len(data.item_counts) == 38
    assert [sample.name for sample in data][6:8] == ["rows.jsonl, row 7", "rows.jsonl, row 10"]
    assert ["row 8: `image` names no file" in data.skipped[0], "row 9: " in data.skipped[1]] == [True, True]
    assert "rows.jsonl: 1 of 40 rows (2.5%) cannot be used and are left out: rows.jsonl, row 8" in caplog.text
    assert (
        f"rows.jsonl: 38 rows; 19 of them without memory items; 1 of them without a picture; 1 of 19 memory items "
        f"without text; 2 more left out; 29 cut to {longest - 1} tokens; keys "
        "that are not read: n."
    ) in caplog.text
    damage(folder / "9.png")
    (folder / "10.png").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"rows.jsonl: 3 of 39 rows \(7.7%\) cannot be used, and at most 5%.*row 9: .*8"
    ):
        survey(open_training_data(folder / "rows.jsonl"), MemoryCollator(tiny_processor))


def test_pictures_in_the_rows_are_looked_at_but_those_of_a_large_table_only_for_their_sizes(
    tiny_processor, monkeypatch
):
    rows = [{"question": "?", "answer": "Ada", "image": b"no picture"}]
    with pytest.raises(ValueError, match="1 of 1 rows .* data set, row 1: an image is not a readable picture"):
        survey(MemoryDataset(rows), MemoryCollator(tiny_processor))
    table = open_training_data(datasets.Dataset.from_list(rows))
    with pytest.raises(ValueError, match="1 of 1 rows .* data set, row 1: an image is not a readable picture"):
        survey(table, MemoryCollator(tiny_processor))
    monkeypatch.setattr("comem_hf.training.checks.survey.DECODED", 0)
    assert len(survey(table, MemoryCollator(tiny_processor))) == 1
    with pytest.raises(ValueError, match="1 of 1 rows .* data set, row 1: an image is not a readable picture"):
        survey(table, MemoryCollator(tiny_processor, max_length=500))


def test_the_first_rows_say_whether_too_many_pictures_are_damaged(folder, tiny_processor, monkeypatch):
    damage(folder / "3.png")
    data, collator = open_training_data(folder / "rows.jsonl"), MemoryCollator(tiny_processor)
    assert [sample.name for sample in survey(data, collator)][2:4] == ["rows.jsonl, row 3", "rows.jsonl, row 5"]
    monkeypatch.setattr("comem_hf.training.checks.survey.DECODED", 10)
    with pytest.raises(ValueError, match=r"1 of 10 rows \(10.0%\) cannot be used, and .*row 4: .*3.png"):
        survey(data, collator)


def test_texts_of_the_published_form_that_are_cut_are_counted(tiny_processor, caplog):
    turns = [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "A" * 5001}]
    row = {"conversations": turns, "knowledge_image": [picture(1)], "knowledge_conversations": turns}
    survey(MemoryDataset([row]), MemoryCollator(tiny_processor))
    assert "data set: 1 row; 1 of them without a picture; 2 texts cut to 5,000 characters." in caplog.text


def test_an_answer_of_which_the_template_leaves_nothing_is_refused_by_row(tiny_processor):
    rows = [{"question": "?", "answer": answer} for answer in ("Ada", "<|im_end|> \n")]
    with pytest.raises(
        ValueError, match=r"data set, row 2: the chat template leaves nothing of the answer but '<\|im_end"
    ):
        survey(MemoryDataset(rows), MemoryCollator(tiny_processor))


def test_a_damaged_picture_found_later_is_replaced_by_the_next_row(folder, tiny_processor):
    data, collator = open_training_data(folder / "rows.jsonl"), MemoryCollator(tiny_processor)
    data = survey(data, collator)
    for i in (11, 12):
        damage(folder / f"{i}.png")
    batch, expected = collator([data[11], data[0]]), collator([data[13], data[0]])
    for key in ("input_ids", "labels", "pixel_values"):
        assert torch.equal(batch[key], expected[key])
    stream = list(open_training_data(folder / "rows.jsonl", streaming=True))
    assert torch.equal(collator([stream[11]])["pixel_values"], collator([stream[13]])["pixel_values"])
    assert collator.rows.num_replaced == 2
    data[39]
    (folder / "39.png").unlink()
    assert torch.equal(collator([data[39]])["pixel_values"], collator([data[0]])["pixel_values"])
    with pytest.raises(ValueError, match="row 0 of the batch: .*12.png' is not a readable picture"):
        collator([{"image": str(folder / "12.png"), "question": "?", "answer": "Ada"}])


@pytest.mark.slow
def test_training_goes_on_over_a_damaged_picture_and_a_resumed_one_ends_alike(
    folder, make_trainable, tiny_processor, make_arguments, tmp_path, monkeypatch
):
    monkeypatch.setattr("comem_hf.training.checks.survey.DECODED", 0)
    for i in (3, 17, 18, 30):
        damage(folder / f"{i}.png")
    for streaming in (False, True):
        states = []
        for name, steps in (("undisturbed", ()), ("interrupted", (3,))):
            args = make_arguments(
                output_dir=str(tmp_path / f"{name}{streaming}"), per_device_train_batch_size=5, max_length=60
            )
            data = open_training_data(folder / "rows.jsonl", streaming=streaming, shuffle_buffer=8)
            for step in steps:
                with pytest.raises(KeyboardInterrupt):
                    train_memory_encoder(make_trainable(), tiny_processor, data, args, callbacks=[Interrupt(step)])
            model = make_trainable()
            train_memory_encoder(model, tiny_processor, data, args)
            states.append(state_of(model))
        assert_equal(*states)


def test_what_cannot_be_trained_on_is_refused_before_the_first_step(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    model = make_trainable()
    with pytest.raises(
        ValueError, match=r"No row of data set has memory items .* nothing for memory_encoder to learn"
    ):
        train_memory_encoder(model, tiny_processor, [rows[2]], make_arguments())
    about = [{**row, "entity": str(i)} for i, row in enumerate(rows)]
    with pytest.raises(ValueError, match=r"1 of the 1 entities \(`entity`\) of data set are in data set, too: '1'"):
        train_memory_encoder(model, tiny_processor, about, make_arguments(), eval_dataset=[about[1]])
    stream = open_training_data(about, streaming=True)
    with pytest.raises(ValueError, match=r"of data set are in the first 4 rows of data set, too: '1'"):
        train_memory_encoder(model, tiny_processor, stream, make_arguments(), eval_dataset=[about[1]])
    damaged = open_training_data(
        [*rows[:3], {**rows[3], "image": {"bytes": b"no picture", "path": None}}], streaming=True
    )
    message = r"the first 4 rows of data set: 1 of 4 rows \(25.0%\) cannot be used, .* data set, row 4: "
    with pytest.raises(ValueError, match=message):
        train_memory_encoder(model, tiny_processor, damaged, make_arguments())
    assert not (tmp_path / "run").exists()
