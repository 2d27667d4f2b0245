"""What is drawn for a sample depends on the seed, the epoch and the sample, and on nothing else."""

import copy

import pytest
import torch

from comem_hf import MemoryItem
from comem_hf.training import MemoryCollator, TrainingSample
from comem_hf.training.batches.drawing import Drawing
from tests.training.conftest import picture


def sample(number: int, items: int = 6) -> TrainingSample:
    memories = [
        MemoryItem(image=f"somewhere/{number}-{item}.png", text=f"{item} of {number}") for item in range(items)
    ]
    return TrainingSample.from_row({"question": f"What is {number}?", "answer": "It.", "memories": memories})


def test_order_and_number_are_drawn_evenly_and_the_first_item_stays():
    drawing = Drawing(seed=1, min_memories=2, max_memories=4, shuffle=True, lengths=[1, 2, 8])
    drawn = [drawing(sample(number)) for number in range(600)]
    assert {length for _, length in drawn} == {1, 2, 8}
    for count in (2, 3, 4):
        orders = [order for order, _ in drawn if len(order) == count]
        assert all(sorted(order) == list(range(count)) for order in orders)
        places = torch.tensor([order.index(0) for order in orders]).bincount(minlength=count)
        assert (150 < places.sum() < 250) and (places > 0.6 * places.sum() / count).all()
    assert [len(Drawing(min_memories=4, max_memories=5)(sample(1, items)).order) for items in (0, 1, 3)] == [0, 1, 3]


def test_drawn_is_the_same_in_another_place_process_and_folder_and_differs_between_epochs():
    drawing = Drawing(seed=1, shuffle=True)
    first = [drawing(sample(number)) for number in range(40)]
    drawing.epoch = 1
    second = [drawing(sample(number)) for number in range(40)]
    assert sum(one != other for one, other in zip(first, second, strict=True)) > 30
    assert [Drawing(seed=2, shuffle=True)(sample(number)) for number in range(40)] != first
    again = Drawing(seed=1, shuffle=True)
    assert [again(sample(number)) for number in reversed(range(40))] == first[::-1]
    moved = sample(0)
    moved.name, moved.memories = "elsewhere", [copy.copy(item) for item in moved.memories]
    for item in moved.memories:
        item.image = str(item.image).replace("somewhere", "anywhere")
    assert again(moved) == first[0]


@pytest.mark.parametrize("items_in_prompt", [False, True])
def test_a_batch_has_the_items_in_the_drawn_order_and_knows_the_true_one(items_in_prompt, tiny_processor):
    items = [MemoryItem(image=picture(40 * n), text=f"Item {n}.") for n in range(3)]
    rows = [
        {"question": "What?", "answer": "A.", "memories": items},
        {"question": "And?", "answer": "B."},
        {"question": "Where?", "answer": "C.", "memories": items[:2]},
        {"question": "Who?", "answer": "D.", "memories": items[1:]},
    ]
    settings = {"shuffle_memories": True, "with_teacher": True, "with_true_items": True, "with_reconstruction": True}
    settings |= {"nested_memory_lengths": [2, 3], "items_in_prompt": items_in_prompt}
    for seed in range(4):
        collator = MemoryCollator(tiny_processor, seed=seed, **settings)
        batch, drawn = collator(rows), [collator.drawing(TrainingSample.from_row(row)) for row in rows]
        orders = [order for order, _ in drawn]
        pairs = zip(rows, orders, strict=True)
        shuffled = [{**row, "memories": [row.get("memories", [])[n] for n in order]} for row, order in pairs]
        plain = MemoryCollator(tiny_processor, items_in_prompt=items_in_prompt)(shuffled)
        assert torch.equal(batch["input_ids"], plain["input_ids"])
        if not items_in_prompt:
            memory = batch["memory_inputs"]
            assert memory["num_memory_tokens"].tolist() == [length for _, length in drawn]
            for key, value in plain["memory_inputs"].items():
                assert torch.equal(memory[key], value)
        in_order = MemoryCollator(tiny_processor, with_teacher=True)(rows)["teacher_inputs"]
        assert torch.equal(batch["teacher_inputs"]["input_ids"], in_order["input_ids"])
        places = [order.index(0) if order else -1 for order in orders]
        assert batch["true_items"].tolist() == [[places[0], 0], [-1, -1], [places[2], 0], [places[3], 1]]
        assert batch["reconstruction_inputs"]["rows"].tolist() == [0, 2, 3]
    evaluated = collator.for_evaluation()(rows)
    assert evaluated.keys().isdisjoint(("teacher_inputs", "true_items", "reconstruction_inputs"))
    assert torch.equal(evaluated["input_ids"], batch["input_ids"])
    assert "num_memory_tokens" not in evaluated.get("memory_inputs", {})
