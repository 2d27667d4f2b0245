"""`comem train`: train a memory encoder."""

import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comem_hf.commands.common.output import JsonOption


if TYPE_CHECKING:
    from comem_hf.modeling import CoMemForConditionalGeneration, CoMemProcessor


def train(
    model: Annotated[str, typer.Option(help="A backbone (Qwen2-VL, Qwen2.5-VL) or a comem model: folder or Hub id.")],
    data: Annotated[Path, typer.Option(help="Training samples, .jsonl or .json; image paths start from its folder.")],
    output_dir: Annotated[Path, typer.Option(help="New folder for the result, or an interrupted run's folder.")],
    eval_data: Annotated[Path | None, typer.Option(help="Samples for the evaluation loss, after each epoch.")] = None,
    epochs: Annotated[float, typer.Option(help="Passes over the data.")] = 2.0,
    max_steps: Annotated[int, typer.Option(help="Updates; overrides --epochs if positive.")] = -1,
    batch_size: Annotated[int, typer.Option(help="Samples per device and step.")] = 4,
    gradient_accumulation: Annotated[int, typer.Option(help="Steps per update.")] = 4,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 5e-5,
    schedule: Annotated[str, typer.Option(help="Learning-rate schedule, by transformers' name.")] = "cosine",
    warmup: Annotated[float, typer.Option(help="Warm-up: share of the updates, or their number from 1 on.")] = 0.03,
    weight_decay: Annotated[float, typer.Option(help="Weight decay.")] = 0.1,
    muon_learning_rate: Annotated[
        float | None, typer.Option(help="Train the resampler's layers by Muon at this rate. [default: AdamW]")
    ] = None,
    max_grad_norm: Annotated[float, typer.Option(help="Gradients are clipped to this norm.")] = 3.0,
    lora_rank: Annotated[int | None, typer.Option(help="Rank of a new adapter. [default: 16]")] = None,
    lora_alpha: Annotated[float | None, typer.Option(help="Scale of a new adapter. [default: 32]")] = None,
    lora_dropout: Annotated[float | None, typer.Option(help="Dropout of a new adapter. [default: 0.05]")] = None,
    num_memory_tokens: Annotated[int | None, typer.Option(help="Vectors per item, new encoder. [default: 8]")] = None,
    train_reader: Annotated[
        bool,
        typer.Option("--train-reader", help="Train an adapter on the reader, too."),
    ] = False,
    max_memories: Annotated[int | None, typer.Option(help="Use only the first so many items of a sample.")] = None,
    distillation_weight: Annotated[
        float, typer.Option(help="Weight of distillation from the backbone that reads the items in its prompt.")
    ] = 0.0,
    gradient_checkpointing: Annotated[bool, typer.Option(help="Less memory, more time.")] = False,
    attn_implementation: Annotated[
        str | None, typer.Option(help="Attention, such as sdpa or eager. [default: what the model loads with]")
    ] = None,
    bf16: Annotated[bool, typer.Option(help="bfloat16 mixed precision.")] = False,
    workers: Annotated[int, typer.Option(help="Processes that read images and tokenize.")] = 0,
    save_steps: Annotated[int, typer.Option(help="Updates between checkpoints.")] = 800,
    shuffle: Annotated[bool, typer.Option(help="Shuffle the samples; --no-shuffle keeps them in order.")] = True,
    logging_steps: Annotated[int, typer.Option(help="Updates between lines of the log.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the new encoder, the order of the samples and dropout.")] = 42,
    json: JsonOption = False,
) -> None:
    """Train a memory encoder on a frozen backbone.

    A row of the data: {"image": "a.png", "question": "...", "answer": "...",
    "memories": [{"image": "b.png", "text": "..."}]}.

    Run the same command again to go on with an interrupted run.

    Example:
        comem train --model Qwen/Qwen2-VL-2B-Instruct --data train.jsonl --output-dir my-memory --bf16
    """
    import torch
    from transformers import set_seed

    from comem_hf.commands.common.output import print_json
    from comem_hf.training import MemoryDataset, MemoryTrainingArguments, train_memory_encoder, trainable_share
    from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING

    dataset = MemoryDataset.from_file(data)
    if not any(sample.memories for sample in dataset.samples):
        raise ValueError(f"No row of {data} has memory items (`memories`): there is nothing to learn from.")
    eval_dataset = MemoryDataset.from_file(eval_data) if eval_data else None
    set_seed(seed)
    lora_config = _given(r=lora_rank, lora_alpha=lora_alpha, lora_dropout=lora_dropout)
    new_encoder = _given(lora_config=lora_config or None, num_memory_tokens=num_memory_tokens)
    comem_model, processor = _load(model, new_encoder, "trainable" if train_reader else "adapter")
    if train_reader and comem_model.reader_adapter is None:
        comem_model.add_reader_adapter(**lora_config)
    if attn_implementation:
        comem_model.set_attn_implementation(attn_implementation)
    args = MemoryTrainingArguments(
        output_dir=str(output_dir),
        num_train_epochs=epochs,
        max_steps=max_steps,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=batch_size,
        gradient_accumulation_steps=gradient_accumulation,
        learning_rate=learning_rate,
        lr_scheduler_type=schedule,
        warmup_steps=warmup,
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
        max_memories=max_memories,
        distillation_weight=distillation_weight,
        muon_learning_rate=muon_learning_rate,
        bf16=bf16,
        use_cpu=not torch.accelerator.is_available(),  # else bf16 is refused where there is no accelerator
        dataloader_num_workers=workers,
        eval_strategy="epoch" if eval_data else "no",
        train_sampling_strategy="random" if shuffle else "sequential",
        save_steps=save_steps,
        logging_steps=logging_steps,
        seed=seed,
        **({ACTIVATION_CHECKPOINTING: True} if gradient_checkpointing else {}),
    )
    with redirect_stdout(sys.stderr) if json else nullcontext():  # the trainer's own log
        typer.echo(f"{len(dataset)} samples; {trainable_share(comem_model)}")
        done = train_memory_encoder(comem_model, processor, dataset, args, eval_dataset=eval_dataset)
    if json:
        print_json({"folder": str(output_dir), "updates": done.global_step, "loss": done.training_loss})
        return
    typer.echo(f"Saved the trained model to {output_dir}.")


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _load(
    name: str, new_encoder: dict[str, Any], reader: str
) -> "tuple[CoMemForConditionalGeneration, CoMemProcessor]":
    from transformers import AutoConfig

    from comem_hf.modeling import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor

    if not isinstance(AutoConfig.from_pretrained(name), CoMemConfig):
        return CoMemForConditionalGeneration.from_backbone(name, **new_encoder), CoMemProcessor.from_pretrained(name)
    if new_encoder:
        raise ValueError(
            f"{name!r} has a memory encoder already; --lora-rank, --lora-alpha, --lora-dropout and "
            "--num-memory-tokens are for a new one on a backbone."
        )
    model = CoMemForConditionalGeneration.from_pretrained(name, reader=reader)
    return model, CoMemProcessor.from_pretrained(name)
