"""Training runs of a few steps."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor, TrainerCallback

from comem_hf.modeling.fingerprint_comem import backbone_checksum
from comem_hf.training import MemoryCollator, MemoryDataset, MemoryTrainingArguments, train_memory_encoder
from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING
from comem_hf.training.freezing import trainable_parameters
from comem_hf.training.run_folder import TrainingOutputFolder, decisive_settings
from comem_hf.training.trainer import answer_divergence
from tests.training.conftest import needs_muon


class Interrupt(TrainerCallback):
    """Stops a run as a crash would, in the middle of a step."""

    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def state_of(model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in trainable_parameters(model).items()}


def assert_equal(tensors, others):
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name


def test_defaults_are_those_of_the_paper(tmp_path):
    args = MemoryTrainingArguments(output_dir=str(tmp_path))
    assert (args.learning_rate, args.lr_scheduler_type.value, args.warmup_steps) == (5e-5, "cosine", 0.03)
    assert (args.weight_decay, args.max_grad_norm) == (0.1, 3.0)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 16
    assert args.get_warmup_steps(1000) == 30


def test_training_changes_the_memory_encoder_and_no_bit_of_the_backbone(
    make_trainable, tiny_processor, rows, make_arguments
):
    model = make_trainable()
    backbone = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    before = state_of(model)
    result = train_memory_encoder(model, tiny_processor, rows, make_arguments())
    assert result.global_step == 4
    assert_equal(model.backbone.state_dict(), backbone)
    unchanged = [name for name, tensor in state_of(model).items() if torch.equal(tensor, before[name])]
    assert unchanged == []


def test_training_lowers_the_loss(make_trainable, tiny_processor, rows, make_arguments):
    model = make_trainable()
    batch = MemoryCollator(tiny_processor)(rows)
    with torch.no_grad():
        before = model.eval()(**batch).loss
    args = make_arguments(max_steps=20, per_device_train_batch_size=4, save_strategy="no", warmup_steps=0)
    train_memory_encoder(model, tiny_processor, rows, args)
    with torch.no_grad():
        assert model(**batch).loss < before - 0.5


def test_saved_model_is_the_trained_one(make_trainable, tiny_processor, rows, make_arguments):
    model, args = make_trainable(), make_arguments()
    train_memory_encoder(model, tiny_processor, rows, args)
    loaded = AutoModelForImageTextToText.from_pretrained(args.output_dir)
    processor = AutoProcessor.from_pretrained(args.output_dir)
    batch = MemoryCollator(processor)(rows)
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, model(**batch).logits)
    log = json.loads(Path(args.output_dir, "trainer_state.json").read_text())["log_history"]
    assert [entry["step"] for entry in log if "loss" in entry] == [1, 2, 3, 4]


def test_checkpoint_holds_the_trainable_tensors_alone(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    model = make_trainable()
    train_memory_encoder(model, tiny_processor, rows, make_arguments())
    folder = tmp_path / "run" / "checkpoint-4"
    assert_equal(load_file(folder / "model.safetensors"), state_of(model))
    assert not (folder / "training_args.bin").exists()


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        pytest.param(1, {}, id="before the first checkpoint"),
        pytest.param(3, {}, id="after it"),
        pytest.param(3, {"muon_learning_rate": 1e-2}, id="by Muon", marks=needs_muon),
    ],
)
def test_interrupted_run_ends_like_an_undisturbed_one(
    step, settings, make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    undisturbed = make_trainable()
    elsewhere = make_arguments(output_dir=str(tmp_path / "undisturbed"), **settings)
    train_memory_encoder(undisturbed, tiny_processor, rows, elsewhere)
    interrupted = make_trainable()
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(
            interrupted, tiny_processor, rows, make_arguments(**settings), callbacks=[Interrupt(step)]
        )
    resumed = make_trainable()
    train_memory_encoder(resumed, tiny_processor, rows, make_arguments(**settings))
    assert_equal(state_of(resumed), state_of(undisturbed))


def test_half_written_checkpoint_is_passed_over(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments(), callbacks=[Interrupt(3)])
    half = tmp_path / "run" / "checkpoint-3"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments()).global_step == 4


def test_run_with_other_settings_is_refused_by_name(make_trainable, tiny_processor, rows, make_arguments):
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments(), callbacks=[Interrupt(3)])
    with pytest.raises(ValueError, match=r"other settings \(learning_rate was 0.01 and is 0.02\)"):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments(learning_rate=2e-2))
    with pytest.raises(ValueError, match=r"other settings \(data was '4 rows' and is '3 rows'\)"):
        train_memory_encoder(make_trainable(), tiny_processor, rows[:3], make_arguments())
    with pytest.raises(ValueError, match=r"memory_encoder_at_start was"):
        train_memory_encoder(make_trainable(num_memory_tokens=2), tiny_processor, rows, make_arguments())


@pytest.mark.parametrize(
    "settings",
    [
        {"lr_scheduler_kwargs": {"num_cycles": 2}},
        {"optim_args": "eps=0.1"},
        {"label_smoothing_factor": 0.1},
        {"dataloader_drop_last": True},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_run_with_other_details_is_refused_by_name(settings, make_arguments, tmp_path):
    TrainingOutputFolder(tmp_path / "run", decisive_settings(make_arguments())).open()
    assert TrainingOutputFolder(tmp_path / "run", decisive_settings(make_arguments())).open() is None
    other = TrainingOutputFolder(tmp_path / "run", decisive_settings(make_arguments(**settings)))
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=rf"other settings \({name} was .* and is {re.escape(repr(value))}\)"):
        other.open()


def test_run_whose_record_lacks_a_setting_goes_on(make_arguments, tmp_path):
    settings = decisive_settings(make_arguments())
    older = {name: value for name, value in settings.items() if name != "dataloader_drop_last"}
    TrainingOutputFolder(tmp_path / "run", older).open()
    assert TrainingOutputFolder(tmp_path / "run", settings).open() is None


def test_finished_run_is_refused(make_trainable, tiny_processor, rows, make_arguments):
    train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments())
    with pytest.raises(ValueError, match="holds a finished training run; choose a new one"):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments())


def test_folder_with_other_things_is_refused_and_left_alone(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"'.*run' exists and is no training run of ours"):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_backbone_that_is_not_frozen_is_refused(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    model = make_trainable()
    model.backbone.lm_head.weight.requires_grad_(True)
    with pytest.raises(ValueError, match="must be frozen, but 1 of its parameters are trainable, 'lm_head.weight'"):
        train_memory_encoder(model, tiny_processor, rows, make_arguments())
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        train_memory_encoder(model, tiny_processor, rows, make_arguments())
    assert not (tmp_path / "run").exists()


def test_backbone_that_changes_in_training_is_an_error(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    class Meddle(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            model.backbone.lm_head.weight.data[0, 0] += 1

    with pytest.raises(RuntimeError, match="backbone has changed"):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments(), callbacks=[Meddle()])
    assert not (tmp_path / "run" / "config.json").exists()


def test_checksum_sees_a_single_changed_weight(make_trainable):
    model = make_trainable()
    before = backbone_checksum(model.backbone, exact=True)
    assert backbone_checksum(make_trainable().backbone, exact=True) == before
    model.backbone.model.language_model.norm.weight.data[3] += 1e-3
    assert backbone_checksum(model.backbone, exact=True) != before


def test_gradient_accumulation_equals_one_large_batch(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    states = []
    for batch_size, steps in ((4, 1), (1, 4)):
        model = make_trainable(lora_config={"r": 2, "lora_alpha": 4, "lora_dropout": 0.0})
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


def test_workers_read_the_same_batches(make_trainable, tiny_processor, data_file, make_arguments, tmp_path):
    states = []
    for workers in (0, 2):
        model = make_trainable()
        args = make_arguments(output_dir=str(tmp_path / str(workers)), dataloader_num_workers=workers)
        train_memory_encoder(model, tiny_processor, MemoryDataset.from_file(data_file), args)
        states.append(state_of(model))
    assert_equal(*states)


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
        return answer_divergence(logits, batch["labels"], teacher_logits, teacher_labels).mean().item()

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
    divergence = answer_divergence(logits, labels, longer, longer_labels)
    torch.testing.assert_close(divergence, torch.zeros(3))
    other = answer_divergence(logits.flip(-1), labels, longer, longer_labels)
    assert (other > 0.1).all()
