"""Checkpoints, accumulation, precision and distillation."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, TrainerCallback

from comem_hf.training import MemoryCollator, MemoryEncoderTrainer, train_memory_encoder
from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING
from comem_hf.training.objectives.answer_tokens import answer_logits
from comem_hf.training.objectives.distillation import answer_divergence
from comem_hf.training.parts.freezing import trainable_parameters
from tests.training.conftest import Interrupt, assert_equal, state_of


def test_an_error_stands_on_a_line_of_its_own_below_the_progress_bar(
    make_trainable, tiny_processor, rows, make_arguments, capsys
):
    class Rows(torch.utils.data.Dataset):  # which is not looked through in advance
        def __len__(self):
            return len(rows)

        def __getitem__(self, index):
            return {**rows[index], "image": b"no picture"}

    with pytest.raises(ValueError, match="readable picture") as refusal:
        train_memory_encoder(make_trainable(), tiny_processor, Rows(), make_arguments(disable_tqdm=False))
    error = capsys.readouterr().err  # while the traceback keeps the bar, as it does when the command prints the error
    assert refusal.tb is not None and "0/4" in error and error.endswith("\n")


def test_checkpoint_holds_the_trainable_tensors_alone(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    model = make_trainable()
    train_memory_encoder(model, tiny_processor, rows, make_arguments())
    folder = tmp_path / "run" / "checkpoint-4"
    assert_equal(load_file(folder / "model.safetensors"), state_of(model))
    assert not (folder / "training_args.bin").exists()


@pytest.mark.parametrize("label_smoothing_factor", [0.0, 0.1])
def test_gradient_accumulation_equals_one_large_batch(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path, label_smoothing_factor
):
    states = []
    for batch_size, steps in ((4, 1), (1, 4)):
        model = make_trainable(lora_config={"r": 2, "lora_alpha": 4, "lora_dropout": 0.0})
        args = make_arguments(
            output_dir=str(tmp_path / str(steps)),
            label_smoothing_factor=label_smoothing_factor,
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


def test_gradient_checkpointing_trains_the_same(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    states = []
    for checkpointing in (False, True):
        model = make_trainable()
        args = make_arguments(
            output_dir=str(tmp_path / str(checkpointing)), **{ACTIVATION_CHECKPOINTING: checkpointing}
        )
        train_memory_encoder(model, tiny_processor, rows, args)
        states.append(state_of(model))
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], rtol=1e-4, atol=1e-5, msg=name)


def test_mixed_precision_keeps_what_is_trained_in_float32(make_trainable, tiny_processor, rows, make_arguments):
    dtypes = set()

    class Look(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            dtypes.update(tensor.dtype for tensor in trainable_parameters(model).values())

    model = make_trainable().to(torch.bfloat16)
    train_memory_encoder(model, tiny_processor, rows, make_arguments(bf16=True), callbacks=[Look()])
    assert dtypes == {torch.float32}


@pytest.mark.parametrize("step", [None, 1, 3])  # not interrupted, before the first checkpoint, after it
def test_model_trained_in_mixed_precision_generates_with_memory(
    step, make_trainable, tiny_processor, rows, make_arguments
):
    model, args = make_trainable().to(torch.bfloat16), make_arguments(bf16=True)
    if step is not None:
        with pytest.raises(KeyboardInterrupt):
            train_memory_encoder(model, tiny_processor, rows, args, callbacks=[Interrupt(step)])
        model.eval()
    else:
        train_memory_encoder(model, tiny_processor, rows, args)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    batch = MemoryCollator(tiny_processor)(rows)
    del batch["labels"]
    untouched = make_trainable().to(torch.bfloat16).eval()
    untouched.load_state_dict(model.state_dict())
    settings = {"max_new_tokens": 4, "do_sample": False}
    assert torch.equal(model.generate(**batch, **settings), untouched.generate(**batch, **settings))
    with torch.no_grad():
        logits = model(**batch).logits
        assert logits.dtype == torch.bfloat16  # a `forward` that is still wrapped gives float32
        assert torch.equal(logits, untouched(**batch).logits)
    if step is None:
        assert AutoModelForImageTextToText.from_pretrained(args.output_dir).dtype == torch.bfloat16


def test_evaluation_reports_the_loss(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    args = make_arguments(eval_strategy="steps", eval_steps=2, distillation_weight=1.0)
    train_memory_encoder(make_trainable(), tiny_processor, rows, args, eval_dataset=rows[:2])
    log = json.loads((tmp_path / "run" / "trainer_state.json").read_text())["log_history"]
    assert [entry["step"] for entry in log if "eval_loss" in entry] == [2, 4]


def test_metrics_are_computed_where_a_function_is_given(make_trainable, tiny_processor, rows, make_arguments):
    seen = []

    def compute_metrics(prediction):
        logits, labels = prediction.predictions, prediction.label_ids
        seen.append((logits.shape, labels.shape))
        right = (logits[:, :-1].argmax(-1) == labels[:, 1:])[labels[:, 1:] != -100]
        return {"accuracy": right.mean().item()}

    model, args = make_trainable(), make_arguments(eval_strategy="steps", eval_steps=4, per_device_eval_batch_size=1)
    trainer = MemoryEncoderTrainer(
        model=model,
        args=args,
        data_collator=MemoryCollator(tiny_processor),
        eval_dataset=rows,
        compute_metrics=compute_metrics,
    )
    metrics = trainer.evaluate()
    batch = MemoryCollator(tiny_processor)(rows)
    labels = batch.pop("labels")
    with torch.no_grad():
        logits = model(**batch).logits
    right = (logits[:, :-1].argmax(-1) == labels[:, 1:])[labels[:, 1:] != -100]
    assert metrics["eval_accuracy"] == pytest.approx(right.float().mean().item())
    assert seen[0][0][:2] == seen[0][1]
    assert seen[0][0][2] == logits.shape[2]
    train_memory_encoder(model, tiny_processor, rows, args, eval_dataset=rows, compute_metrics=compute_metrics)
    assert len(seen) == 2


def test_without_metrics_evaluation_keeps_no_logits(make_trainable, tiny_processor, rows, make_arguments, monkeypatch):
    kept = []
    step = MemoryEncoderTrainer.prediction_step

    def prediction_step(self, *args, **kwargs):
        result = step(self, *args, **kwargs)
        kept.append(result[1])
        return result

    monkeypatch.setattr(MemoryEncoderTrainer, "prediction_step", prediction_step)
    trainer = MemoryEncoderTrainer(
        model=make_trainable(), args=make_arguments(), data_collator=MemoryCollator(tiny_processor), eval_dataset=rows
    )
    trainer.evaluate()
    assert kept
    assert all(logits is None for logits in kept)


def test_distillation_learns_the_predictions_of_the_backbone_that_reads_the_items(
    make_trainable, tiny_processor, rows, make_arguments
):
    model = make_trainable()
    collator = MemoryCollator(tiny_processor, with_teacher=True)

    def divergence() -> float:
        batch = collator(rows)
        teacher = batch.pop("teacher_inputs")
        teacher_labels = teacher.pop("labels")
        with torch.no_grad():
            teacher_logits = model.backbone(**teacher).logits
            logits = model(**batch).logits
        return (
            answer_divergence(answer_logits(logits, batch["labels"]), answer_logits(teacher_logits, teacher_labels))
            .mean()
            .item()
        )

    model.eval()
    before = divergence()
    args = make_arguments(max_steps=20, per_device_train_batch_size=4, distillation_weight=10.0, warmup_steps=0)
    train_memory_encoder(model, tiny_processor, rows, args)
    assert divergence() < 0.5 * before


def test_divergence_of_equal_predictions_at_shifted_places_is_zero():
    torch.manual_seed(0)
    logits = torch.randn(1, 5, 7)
    labels = torch.tensor([[-100, -100, 3, 4, 5]])
    longer = torch.cat([torch.randn(1, 2, 7), logits], dim=1)
    longer_labels = torch.tensor([[-100, -100, -100, -100, 3, 4, 5]])
    teacher = answer_logits(longer, longer_labels)
    divergence = answer_divergence(answer_logits(logits, labels), teacher)
    torch.testing.assert_close(divergence, torch.zeros(3))
    assert (answer_divergence(answer_logits(logits.flip(-1), labels), teacher) > 0.1).all()
