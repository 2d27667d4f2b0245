"""Reconstruction and contrastive loss, beside plain computations of the same; and trainings with all objectives."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryItem
from comem_hf.training import MemoryCollator, MemoryTrainingArguments, TrainingSample, train_memory_encoder
from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING
from comem_hf.training.objectives.added_loss import AddedLoss
from comem_hf.training.objectives.shares import answer_shares
from tests.conftest import make_model
from tests.processes.together import run_together
from tests.training.conftest import Interrupt, assert_equal, picture, state_of


ALL = {
    "shuffle_memories": True,
    "min_memories": 1,
    "nested_memory_lengths": [1, 3, 8],
    "reconstruction_weight": 0.5,
    "contrastive_weight": 0.3,
    "distillation_weight": 0.2,
}
NO_DROPOUT = {"lora_config": {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0}}


@pytest.fixture
def rows() -> list[dict]:
    """Four rows with three, two, no and two items."""
    items = [MemoryItem(image=picture(50 * n), text=f"Item {n} is {n * n}.") for n in range(4)]
    return [
        {"image": picture(0), "question": "What is 0?", "answer": "0", "memories": items[:3]},
        {"image": None, "question": "What is 1, and why?", "answer": "1, of course", "memories": items[1:3]},
        {"image": picture(100), "question": "What is 2?", "answer": "4"},
        {"image": picture(150), "question": "What is 3?", "answer": "9", "memories": [items[3], items[0]]},
    ]


def added(model, batch, **weights) -> torch.Tensor:
    """The added loss of a batch, as the trainer computes it."""
    loss, inputs = AddedLoss(**weights), dict(batch)
    taken = loss.take(inputs, training=True)
    return loss(model, model, model(**inputs), taken)


@torch.no_grad()
def test_reconstruction_is_the_mean_loss_of_repeating_each_first_item(rows, tiny_processor):
    model = make_model()
    rows[0]["memories"] = [MemoryItem(image=picture(9))]  # without a text
    batch = MemoryCollator(tiny_processor, with_reconstruction=True)(rows)
    shares = answer_shares(batch["labels"])
    assert shares[1] > shares[0] > 0 and abs(shares.sum() - 1) < 1e-6
    expected = 0.0
    for row in (1, 3):
        item = rows[row]["memories"][0]
        asked = {"question": "Repeat the text of the item.", "answer": item.text, "memories": [item]}
        expected += shares[row] * model(**MemoryCollator(tiny_processor)([asked])).loss
    torch.testing.assert_close(added(model, batch, reconstruction_weight=2.0), 2 * expected)
    nothing = MemoryCollator(tiny_processor, with_reconstruction=True)(rows[2:3])
    assert added(model, nothing, reconstruction_weight=2.0) == 0


@torch.no_grad()
@pytest.mark.parametrize("memory_order", ["given", "reversed"])
def test_the_contrastive_loss_compares_each_true_items_vectors_with_the_questions(memory_order, rows, tiny_processor):
    model = make_model(memory_order=memory_order)
    rows.append({**rows[0], "question": "Again?", "answer": "Yes"})  # about the item of the first row
    collator = MemoryCollator(
        tiny_processor, shuffle_memories=True, nested_memory_lengths=[1, 3], with_true_items=True, seed=3
    )
    batch, drawn = collator(rows), [collator.drawing(TrainingSample.from_row(row)) for row in rows]
    assert any(order and order[0] != 0 for order, _ in drawn)
    shares, memory, question, used = answer_shares(batch["labels"]), [], [], (0, 1, 3, 4)
    for row in used:
        true_item = tiny_processor.process_memories([rows[row]["memories"][:1]])
        memory.append(model.encode_memory(true_item)[0, : drawn[row].length].mean(0))
        alone = MemoryCollator(tiny_processor)([{**rows[row], "memories": []}])
        end = int((alone["labels"][0] != -100).nonzero()[0])
        begin = int((alone["mm_token_type_ids"][0] != 0).nonzero()[0]) if rows[row]["image"] else 0
        del alone["labels"]
        states = model.backbone(**alone, output_hidden_states=True).hidden_states[0]
        question.append(states[0, begin:end].mean(0))
    similar = F.cosine_similarity(torch.stack(memory)[:, None], torch.stack(question)[None], dim=-1) / 0.2
    expected = 0.0
    for row in range(4):
        others = [column for column in range(4) if column == row or {row, column} != {0, 3}]
        ways = similar[row, others], similar[others, row]
        expected += shares[used[row]] * sum(torch.logsumexp(way, 0) - similar[row, row] for way in ways) / 2
    settings = {"contrastive_weight": 1.0, "contrastive_layer": 0, "contrastive_temperature": 0.2}
    torch.testing.assert_close(added(model, batch, **settings), expected, rtol=1e-4, atol=1e-5)
    assert added(model, collator(rows[1:3]), **settings) == 0


@pytest.fixture
def train(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    """Trains a new model with all objectives, in a folder of its own, and returns the result."""

    def run(name: str, config=None, dtype=torch.float32, callbacks=None, **settings) -> dict[str, torch.Tensor]:
        model = make_trainable(**(config or {})).to(dtype)
        defaults = {"per_device_train_batch_size": 4, "max_steps": 2, "warmup_steps": 0, "save_steps": 1}
        args = make_arguments(output_dir=str(tmp_path / name), **{**ALL, **defaults, **settings})
        train_memory_encoder(model, tiny_processor, rows, args, callbacks=callbacks)
        return state_of(model)

    return run


def test_objectives_of_samples_are_the_same_with_accumulation(train):
    settings = {"contrastive_weight": 0.0, "optim": "sgd", "max_steps": 1, "save_strategy": "no"}
    large = train("large", NO_DROPOUT, **settings)
    settings |= {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}
    small = train("small", NO_DROPOUT, **settings)
    for name, tensor in large.items():
        torch.testing.assert_close(tensor, small[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.slow
def test_objectives_train_alike_with_checkpointing_and_workers_and_after_an_interruption(train):
    undisturbed = train("undisturbed")
    with pytest.raises(KeyboardInterrupt):
        train("interrupted", callbacks=[Interrupt(1)])
    assert_equal(train("interrupted"), undisturbed)
    still = train("still", NO_DROPOUT)  # workers that outlive an epoch shift the random numbers of dropout
    settings = {"dataloader_num_workers": 1, "dataloader_persistent_workers": True}
    for name, tensor in train("checkpointed", NO_DROPOUT, **{ACTIVATION_CHECKPOINTING: True, **settings}).items():
        torch.testing.assert_close(tensor, still[name], rtol=1e-4, atol=1e-5, msg=name)
    mixed = train("mixed", dtype=torch.bfloat16, bf16=True, max_steps=1)
    assert all(tensor.isfinite().all() and tensor.any() for tensor in mixed.values())


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        ({}, {"nested_memory_lengths": [4, 9]}, r"`nested_memory_lengths` must be at most 8, .* got \[4, 9\]"),
        ({}, {"contrastive_weight": 1.0, "contrastive_layer": 3}, "`contrastive_layer` must be from 0 to 2, .* got 3"),
        ({"ffn_memory_config": {}}, {"contrastive_weight": 1.0}, "cannot be combined with `ffn_memory_config`"),
        ({"num_memory_tokens": 0, "ffn_memory_config": {}}, {"reconstruction_weight": 1.0}, "nothing that is trained"),
        ({}, {"contrastive_weight": -1.0}, "`contrastive_weight` must not be negative, got -1.0"),
        ({}, {"contrastive_weight": 1.0, "contrastive_temperature": 0}, "`contrastive_temperature` must be positive"),
        ({}, {"contrastive_weight": 1.0, "per_device_train_batch_size": 1}, "must be at least 2, got 1"),
        ({}, {"nested_memory_lengths": [0]}, r"different positive numbers, .* got \[0\]"),
        ({}, {"min_memories": 3, "max_memories": 2}, "from 1 to `max_memories`, .* got 3 with `max_memories` 2"),
    ],
)
def test_objectives_that_cannot_be_are_refused_before_the_work(
    config, settings, message, make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    with pytest.raises(ValueError, match=message):
        train_memory_encoder(make_trainable(**config), tiny_processor, rows, make_arguments(**settings))
    assert not (tmp_path / "run").exists()


def train_from_folder(folder: Path, rows: list[dict], settings: dict) -> None:
    """Run in each process."""
    model, processor = (kind.from_pretrained(folder) for kind in (CoMemForConditionalGeneration, CoMemProcessor))
    train_memory_encoder(model, processor, rows, MemoryTrainingArguments(**settings))


@pytest.mark.slow
def test_two_processes_train_as_one_with_accumulation(make_trainable, tiny_processor, make_arguments, tmp_path):
    model = make_trainable(**NO_DROPOUT)
    model.save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    picture(30).save(tmp_path / "0.png")
    items = [{"image": str(tmp_path / "0.png"), "text": f"Fact {n}."} for n in range(10)]
    # Batches of two rows go to the processes in turns: in the first update, the second one has no items.
    without = (2, 3, 6, 7)
    rows = [
        {"question": f"{n}?", "answer": "1" * (n + 1), "memories": [] if n in without else items[n % 8 :][:3]}
        for n in range(16)
    ]
    settings = {"max_steps": 2, "per_device_train_batch_size": 2, "use_cpu": True, "disable_tqdm": True, **ALL}
    settings |= {"save_strategy": "no", "warmup_steps": 0, "train_sampling_strategy": "sequential", "optim": "sgd"}
    args = make_arguments(**settings, gradient_accumulation_steps=4)
    train_memory_encoder(model, tiny_processor, rows, args)
    settings |= {"learning_rate": args.learning_rate, "gradient_accumulation_steps": 2}
    settings |= {"output_dir": str(tmp_path / "out")}
    run_together(train_from_folder, tmp_path / "model", rows, settings)
    together = CoMemForConditionalGeneration.from_pretrained(tmp_path / "out").own_parameters()
    for name, tensor in model.own_parameters().items():
        torch.testing.assert_close(tensor, together[name], rtol=1e-4, atol=1e-6, msg=name)
