"""Samples of like lengths share a batch."""

from comem_hf.training import MemoryCollator, MemoryEncoderTrainer
from comem_hf.training.data.length_groups import PICTURE, LengthGroups, length_of


def test_a_length_counts_texts_and_pictures_of_prompt_and_items(rows):
    texts = [
        len("What is 0?0") + len("Item 0 is 0."),
        len("What is 1?1") + 2 * len("Item 1 is 1."),
        len("What is 2?4"),
    ]
    assert [length_of(row) for row in rows[:3]] == [
        texts[0] + 2 * PICTURE,
        texts[1] + 2 * PICTURE,
        texts[2] + PICTURE,
    ]


def test_batches_hold_samples_of_like_lengths_in_an_order_by_seed_and_epoch(
    make_trainable, tiny_processor, make_arguments
):
    rows = [{"image": None, "question": "x" * length, "answer": "y"} for length in range(1, 65)]
    args = make_arguments(train_sampling_strategy="group_by_length", per_device_train_batch_size=4, max_steps=2)
    model = make_trainable()
    trainer = MemoryEncoderTrainer(model, args, data_collator=MemoryCollator(tiny_processor), train_dataset=rows)
    sampler, other = trainer._get_train_sampler(), LengthGroups(rows, 4, args.seed)
    order = list(sampler)
    assert sorted(order) == list(range(64)) and order == list(other)
    spread = [max(group) - min(group) for group in (order[start : start + 4] for start in range(0, 64, 4))]
    assert sorted(spread)[len(spread) // 2] < 16  # a random group spreads over 38 of 64 on average
    for each in (sampler, other):
        each.set_epoch(1)
    assert list(sampler) == list(other) != order
    trainer.train()
