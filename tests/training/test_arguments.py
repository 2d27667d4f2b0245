"""Settings of a training run."""

from comem_hf.training import MemoryTrainingArguments


def test_defaults_are_those_of_the_paper(tmp_path):
    args = MemoryTrainingArguments(output_dir=str(tmp_path))
    assert (args.learning_rate, args.lr_scheduler_type.value, args.warmup_steps) == (5e-5, "cosine", 0.03)
    assert (args.weight_decay, args.max_grad_norm) == (0.1, 3.0)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 16
    assert args.get_warmup_steps(1000) == 30
