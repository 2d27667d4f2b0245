"""Training of memory in the feed-forward layers and in the vision tower, alone and together with other parts."""

import json

import pytest
import torch

from comem_hf import CoMemForConditionalGeneration
from comem_hf.modeling.fingerprint_comem import backbone_checksum
from comem_hf.training import (
    MemoryCollator,
    MemoryDataset,
    MemoryEncoderTrainer,
    items_in_context,
    train_memory_encoder,
    train_only,
)
from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING
from comem_hf.training.parts.freezing import PARTS, PARTS_OF_ENCODER, trained_parts
from comem_hf.training.parts.items import needs_items
from tests.training.conftest import Interrupt, assert_equal, state_of


SLOTS = {"num_slots": 24, "projector_hidden": 8, "scale": 1.0, "value_scale": 1.0, "vision_adapter_rank": 2}
OF_PICTURES, OF_ITEMS = {**SLOTS, "source": "vision"}, {**SLOTS, "source": "memory"}
PLACES = {
    "slots of pictures alone": {"num_memory_tokens": 0, "ffn_memory_config": OF_PICTURES},
    "the tower alone": {"num_memory_tokens": 0, "vision_memory_config": {}},
    "slots of items": {"ffn_memory_config": OF_ITEMS},
    "input and slots of pictures": {"ffn_memory_config": OF_PICTURES},
    "input and tower": {"vision_memory_config": {}},
    "all": {"ffn_memory_config": OF_PICTURES, "vision_memory_config": {}},
    "slots of items and tower": {"ffn_memory_config": OF_ITEMS, "vision_memory_config": {}},
}


def parts_of(model) -> set[str]:
    return {name.partition(".")[0] for name in model.own_parameters()}


def rows_for(model, rows: list[dict]) -> list[dict]:
    """The rows as they are, without items for a model that takes none."""
    return rows if model.config.num_memory_tokens else [{**row, "memories": []} for row in rows]


@pytest.mark.parametrize("place", PLACES)
def test_all_own_tensors_move_and_no_bit_of_the_backbone_does(
    place, make_trainable, tiny_processor, rows, make_arguments
):
    model = make_trainable(**PLACES[place])
    own, backbone = state_of(model), backbone_checksum(model.backbone, exact=True)
    assert own.keys() == model.own_parameters().keys()
    train_memory_encoder(model, tiny_processor, rows_for(model, rows), make_arguments())
    assert backbone_checksum(model.backbone, exact=True) == backbone
    assert [name for name, tensor in state_of(model).items() if torch.equal(tensor, own[name])] == []
    loaded = CoMemForConditionalGeneration.from_pretrained(make_arguments().output_dir)
    assert_equal(state_of(loaded), state_of(model))


@pytest.mark.parametrize("part", ["memory_encoder", "adapter", "resampler", "ffn_memory", "vision_memory"])
def test_one_part_is_trained_alone(part, make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    model = make_trainable(**PLACES["slots of items and tower"])
    before = {name: tensor.detach().clone() for name, tensor in model.own_parameters().items()}
    fingerprint = model.memory_fingerprint()
    train_only(model, part)
    train_memory_encoder(model, tiny_processor, rows, make_arguments())
    moved = {name for name, tensor in model.own_parameters().items() if not torch.equal(tensor, before[name])}
    prefix = PARTS_OF_ENCODER.get(part, f"{part}.")
    assert moved == {name for name in before if name.startswith(prefix)}
    assert (model.memory_fingerprint() == fingerprint) == (not prefix.startswith("memory_encoder."))
    record = json.loads((tmp_path / "run" / "training_settings.json").read_text())
    assert record["settings"]["trained_parts"] == [part]


def test_several_parts_are_chosen_again_and_again(make_trainable):
    model = make_trainable(**PLACES["all"])
    assert trained_parts(model) == ["memory_encoder", "ffn_memory", "vision_memory"]
    train_only(model, "vision_memory")
    train_only(model, "memory_encoder", "ffn_memory")
    assert trained_parts(model) == ["memory_encoder", "ffn_memory"]
    model.add_reader_adapter(r=2)
    train_only(model, "reader_adapter")
    assert trained_parts(model) == ["reader_adapter"]
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())
    assert parts_of(model) == set(PARTS) - {"reader", *PARTS_OF_ENCODER}


def test_a_part_that_is_unknown_or_missing_is_refused_and_nothing_changes(make_trainable):
    model = make_trainable(**PLACES["slots of items"])
    trained = trained_parts(model)
    for parts, message in (
        (["head"], "must be among memory_encoder, .* got 'head'"),
        ([], "must be among memory_encoder, .* got None"),
        (["ffn_memory", "vision_memory"], "no 'vision_memory' to train, but memory_encoder and ffn_memory; name"),
    ):
        with pytest.raises(ValueError, match=message):
            train_only(model, *parts)
    assert trained_parts(model) == trained


def test_a_merged_reader_adapter_cannot_be_chosen(make_trainable, tmp_path):
    model = make_trainable()
    model.add_reader_adapter(r=2)
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no 'reader_adapter' to train, but memory_encoder"):
        train_only(CoMemForConditionalGeneration.from_pretrained(tmp_path), "reader_adapter")
    trainable = CoMemForConditionalGeneration.from_pretrained(tmp_path, reader="trainable")
    train_only(trainable, "reader_adapter")
    assert trained_parts(trainable) == ["reader_adapter"]


@pytest.mark.parametrize("place", ["slots of pictures alone", "slots of items and tower", "all"])
def test_interrupted_run_ends_like_an_undisturbed_one(
    place, make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    undisturbed, interrupted, resumed = (make_trainable(**PLACES[place]) for _ in range(3))
    rows = rows_for(resumed, rows)
    elsewhere = make_arguments(output_dir=str(tmp_path / "undisturbed"))
    train_memory_encoder(undisturbed, tiny_processor, rows, elsewhere)
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(interrupted, tiny_processor, rows, make_arguments(), callbacks=[Interrupt(3)])
    train_memory_encoder(resumed, tiny_processor, rows, make_arguments())
    assert_equal(state_of(resumed), state_of(undisturbed))


def test_a_run_of_some_parts_is_not_resumed_with_others(make_trainable, tiny_processor, rows, make_arguments):
    model = make_trainable(**PLACES["slots of items"])
    train_only(model, "ffn_memory")
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(model, tiny_processor, rows, make_arguments(), callbacks=[Interrupt(3)])
    with pytest.raises(ValueError, match=r"trained_parts was \['ffn_memory'\] and is \['memory_encoder', 'ffn_mem"):
        train_memory_encoder(make_trainable(**PLACES["slots of items"]), tiny_processor, rows, make_arguments())


@pytest.mark.parametrize("place", PLACES)
def test_rows_without_pictures_and_items_train(place, make_trainable, tiny_processor, make_arguments):
    rows = [{"image": None, "question": f"What is {n}?", "answer": str(n)} for n in range(4)]
    model = make_trainable(**PLACES[place])
    if needs_items(model):  # some row must have an item, but not every batch
        rows[0]["memories"] = [{"text": "Item 0"}]
    result = train_memory_encoder(model, tiny_processor, rows, make_arguments())
    assert result.global_step == 4 and all(tensor.isfinite().all() for tensor in state_of(model).values())


@pytest.mark.parametrize("place", ["slots of items and tower", "all"])
def test_gradient_checkpointing_trains_the_same(place, make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    states = []
    for checkpointing in (False, True):
        model = make_trainable(**PLACES[place])
        folder = str(tmp_path / str(checkpointing))
        args = make_arguments(output_dir=folder, **{ACTIVATION_CHECKPOINTING: checkpointing})
        train_memory_encoder(model, tiny_processor, rows, args)
        states.append(state_of(model))
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], rtol=1e-4, atol=1e-5, msg=name)


def test_gradient_accumulation_equals_one_large_batch(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    """With slots; the alignment loss is a mean over the rows of a batch, whatever the length of their answers."""
    still = {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0}
    states = []
    for batch_size, steps in ((4, 1), (1, 4)):
        model = make_trainable(lora_config=still, ffn_memory_config={**OF_PICTURES, "dropout": 0.0})
        args = make_arguments(
            output_dir=str(tmp_path / str(steps)),
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=steps,
            max_steps=1,
            warmup_steps=0,
            optim="sgd",
        )
        train_memory_encoder(model, tiny_processor, rows, args)
        states.append(state_of(model))
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], rtol=1e-4, atol=1e-6, msg=name)


def test_mixed_precision_trains_in_float32_and_ends_in_one_dtype(make_trainable, tiny_processor, rows, make_arguments):
    model = make_trainable(**PLACES["slots of items and tower"]).to(torch.bfloat16)
    train_memory_encoder(model, tiny_processor, rows, make_arguments(bf16=True))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    batch = MemoryCollator(tiny_processor)(rows)
    with torch.no_grad():
        assert model(**batch).logits.isfinite().all()


# Losses


def test_evaluation_is_without_the_alignment_loss(make_trainable, tiny_processor, rows, make_arguments):
    model = make_trainable(vision_memory_config={"alignment_weight": 100.0})
    args = make_arguments(per_device_eval_batch_size=4)
    trainer = MemoryEncoderTrainer(model, args, data_collator=MemoryCollator(tiny_processor), eval_dataset=rows)
    loss = trainer.evaluate()["eval_loss"]
    batch = MemoryCollator(tiny_processor)(rows)
    logits, labels = model.eval()(**batch).logits[:, :-1], batch["labels"][:, 1:]
    expected = torch.nn.functional.cross_entropy(logits.transpose(1, 2).float(), labels)
    assert loss == pytest.approx(expected.item(), rel=1e-4)
    assert model.train()(**batch).loss > expected + 1


def test_label_smoothing_beside_memory_in_the_tower_is_refused_before_anything_is_written(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    model = make_trainable(vision_memory_config={})
    with pytest.raises(ValueError, match="`label_smoothing_factor` must be 0 with memory in the vision tower.*0.1"):
        train_memory_encoder(model, tiny_processor, rows, make_arguments(label_smoothing_factor=0.1))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="`compute_loss_func` must be None"):
        MemoryEncoderTrainer(model, make_arguments(), compute_loss_func=lambda *args, **kwargs: None)


def test_label_smoothing_goes_with_slots(make_trainable, tiny_processor, rows, make_arguments):
    model = make_trainable(**PLACES["input and slots of pictures"])
    args = make_arguments(label_smoothing_factor=0.1)
    assert train_memory_encoder(model, tiny_processor, rows, args).training_loss > 0


def test_a_model_with_slots_of_pictures_learns_from_the_teacher(make_trainable, tiny_processor, rows, make_arguments):
    model = make_trainable(**PLACES["input and slots of pictures"])
    args = make_arguments(distillation_weight=1.0)
    assert train_memory_encoder(model, tiny_processor, rows, args).training_loss > 0


# Items


def test_items_for_a_model_that_takes_none_are_refused_with_a_way_out(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    model, plain = make_trainable(**PLACES["the tower alone"]), [{**row, "memories": []} for row in rows]
    for dataset, eval_dataset in ((rows, None), (plain, rows)):
        with pytest.raises(ValueError, match="row 1 has memory items, but the model takes none.*`--items-in-prompt`"):
            train_memory_encoder(model, tiny_processor, dataset, make_arguments(), eval_dataset=eval_dataset)
    assert not (tmp_path / "run").exists()


def test_items_are_written_into_the_prompt_on_request(make_trainable, tiny_processor, rows, make_arguments):
    collator = MemoryCollator(tiny_processor, items_in_prompt=True, max_memories=1)
    batch = collator(rows)
    texts = tiny_processor.tokenizer.batch_decode(batch["input_ids"])
    assert "memory_inputs" not in batch
    assert "Item 1 is 1." in texts[1] and "Item 2 is 4." not in texts[1]  # `max_memories`
    other = MemoryCollator(tiny_processor, items_in_prompt=True, to_context=lambda sample: items_in_context(sample))
    assert "Item 2 is 4." in tiny_processor.tokenizer.batch_decode(other(rows)["input_ids"])[1]
    model = make_trainable(**PLACES["the tower alone"])
    train_memory_encoder(model, tiny_processor, rows, make_arguments(), items_in_prompt=True)


@pytest.mark.parametrize("as_samples", [True, False])
def test_rows_with_more_items_than_slots_are_refused_before_anything_is_written(
    as_samples, make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    model = make_trainable(ffn_memory_config={**OF_ITEMS, "num_slots": 8})
    data = MemoryDataset(rows, name="rows.jsonl") if as_samples else rows
    name = "rows.jsonl, row 2" if as_samples else "row 2"
    refusal = f"{name}: 2 memory items need 16 slots, but the model has 8, .*`--max-memories 1`"
    with pytest.raises(ValueError, match=refusal):
        train_memory_encoder(model, tiny_processor, data, make_arguments())
    with pytest.raises(ValueError, match=refusal):
        train_memory_encoder(model, tiny_processor, rows[:1], make_arguments(), eval_dataset=data)
    assert not (tmp_path / "run").exists()
    train_memory_encoder(model, tiny_processor, data, make_arguments(max_memories=1, max_steps=1))


def test_items_in_the_prompt_are_refused_where_parts_learn_from_them(
    make_trainable, tiny_processor, rows, make_arguments
):
    model = make_trainable(**PLACES["slots of items and tower"])
    with pytest.raises(ValueError, match="from which memory_encoder and ffn_memory could learn"):
        train_memory_encoder(model, tiny_processor, rows, make_arguments(), items_in_prompt=True)
    train_only(model, "vision_memory")
    train_memory_encoder(model, tiny_processor, rows, make_arguments(), items_in_prompt=True)
