"""`comem train`: train a model's memory."""

import sys
from contextlib import nullcontext, redirect_stdout
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comem_hf.commands.common.output import JsonOption


if TYPE_CHECKING:
    from comem_hf.modeling import CoMemForConditionalGeneration, CoMemProcessor

FFN_MEMORY = (
    "Add memory in the feed-forward layers: an object of settings (`ffn_memory_config`, see "
    "docs/how-to/places-of-memory.md), or '{}' for its defaults, by which the prompt's pictures are the source."
)
VISION_MEMORY = (
    "Add memory in the vision tower: an object of settings (`vision_memory_config`, see "
    "docs/how-to/places-of-memory.md), or '{}' for its defaults."
)
# The names of `comem_hf.training.parts.freezing.PARTS`, which takes seconds to import.
ONLY = (
    "Train this part alone: memory-encoder, or its adapter or resampler, ffn-memory, vision-memory, reader-adapter or "
    "reader (the projection of a text-only reader); may be repeated. [default: all that is the model's own]"
)


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
    num_memory_tokens: Annotated[
        int | None, typer.Option(help="Vectors per item, new encoder; 0: none, the model takes no items. [default: 8]")
    ] = None,
    ffn_memory: Annotated[
        str | None,
        typer.Option(metavar="JSON", help=FFN_MEMORY),
    ] = None,
    vision_memory: Annotated[
        str | None,
        typer.Option(metavar="JSON", help=VISION_MEMORY),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help=ONLY),
    ] = None,
    items_in_prompt: Annotated[
        bool, typer.Option("--items-in-prompt", help="Write items into the prompts, for a model that takes none.")
    ] = False,
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
    """Train a memory encoder, or memory in the layers, on a frozen backbone.

    A row of the data: {"image": "a.png", "question": "...", "answer": "...",
    "memories": [{"image": "b.png", "text": "..."}]}.

    Run the same command again to go on with an interrupted run.

    Example:
        comem train --model Qwen/Qwen2-VL-2B-Instruct --data train.jsonl --output-dir my-memory --bf16

    Another place of memory in a trained model:
        comem train --model my-memory --data train.jsonl --output-dir deeper --vision-memory '{}' --only vision-memory
    """
    import torch
    from transformers import set_seed

    from comem_hf.commands.common.output import print_json
    from comem_hf.training import (
        MemoryDataset,
        MemoryTrainingArguments,
        train_memory_encoder,
        train_only,
        trainable_share,
    )
    from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING
    from comem_hf.training.parts.freezing import check_has_parts, check_parts
    from comem_hf.training.parts.items import check_has_items

    lora_config = _given(r=lora_rank, lora_alpha=lora_alpha, lora_dropout=lora_dropout)
    new_encoder = _given(lora_config=lora_config or None, num_memory_tokens=num_memory_tokens)
    new_sites = _given(
        ffn_memory=None if ffn_memory is None else _site("--ffn-memory", ffn_memory),
        vision_memory=None if vision_memory is None else _site("--vision-memory", vision_memory),
    )
    parts = [part.replace("-", "_") for part in only or ()]
    if parts:
        check_parts(parts, _as_typed)
    if train_reader and parts and "reader_adapter" not in parts:
        raise ValueError(
            "`--train-reader` trains the reader adapter, which `--only` leaves out: leave out the former, or add "
            "`--only reader-adapter`."
        )
    if num_memory_tokens == 0 and lora_config and not train_reader:
        raise ValueError(
            "`--lora-rank`, `--lora-alpha` and `--lora-dropout` are for the adapter of a memory encoder or, with "
            "`--train-reader`, of the reader, but `--num-memory-tokens` is 0, so there is no encoder: leave them out."
        )
    is_new = _check_new_parts(model, new_encoder, new_sites, train_reader)
    dataset = MemoryDataset.from_file(data)
    eval_dataset = MemoryDataset.from_file(eval_data) if eval_data else None
    set_seed(seed)
    reader = "trainable" if train_reader else "adapter"
    comem_model, processor = _load(model, is_new, new_encoder, new_sites, reader)
    if train_reader and comem_model.reader_adapter is None:
        comem_model.add_reader_adapter(**lora_config)
    if parts:
        check_has_parts(comem_model, parts, _as_typed)
        train_only(comem_model, *parts)
    check_has_items(comem_model, dataset, items_in_prompt, _as_typed)
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
        done = train_memory_encoder(
            comem_model, processor, dataset, args, eval_dataset=eval_dataset, items_in_prompt=items_in_prompt
        )
    if json:
        print_json({"folder": str(output_dir), "updates": done.global_step, "loss": done.training_loss})
        return
    typer.echo(f"Saved the trained model to {output_dir}.")


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _as_typed(part: str) -> str:
    return part.replace("_", "-")


def _site(option: str, text: str) -> dict[str, Any]:
    try:
        settings = loads(text)
    except ValueError as error:
        raise ValueError(f"`{option}` must be a JSON object, such as '{{}}', got {text!r}: {error}.") from error
    if not isinstance(settings, dict):
        raise ValueError(f"`{option}` must be a JSON object, such as '{{}}', got {text!r}.")
    return settings


def _check_new_parts(
    name: str, new_encoder: dict[str, Any], new_sites: dict[str, dict[str, Any]], train_reader: bool
) -> bool:
    """Check what will be new on a model, by its configuration; return whether all of its memory is."""
    from transformers import AutoConfig

    from comem_hf.modeling import CoMemConfig

    config = AutoConfig.from_pretrained(name)
    new_configs = {f"{site}_config": settings for site, settings in new_sites.items()}
    if not isinstance(config, CoMemConfig):
        CoMemConfig(backbone_config=config, **new_encoder, **new_configs)
        return True
    if train_reader and config.reader_config is not None:
        raise ValueError(
            "`--train-reader` is for models whose backbone answers; this one has a text-only reader, whose projection "
            "is trained without it."
        )
    if new_encoder:
        raise ValueError(
            f"{name!r} has a memory encoder already; --lora-rank, --lora-alpha, --lora-dropout and "
            "--num-memory-tokens are for a new one on a backbone."
        )
    for field in new_configs:
        if getattr(config, field) is not None:
            option = f"--{field.removesuffix('_config').replace('_', '-')}"
            raise ValueError(f"{name!r} has `{field}` already; leave out `{option}` to go on training it.")
    if new_configs:
        CoMemConfig.from_dict({**config.to_dict(), **new_configs})
    return False


def _load(
    name: str, is_new: bool, new_encoder: dict[str, Any], new_sites: dict[str, dict[str, Any]], reader: str
) -> "tuple[CoMemForConditionalGeneration, CoMemProcessor]":
    from comem_hf.commands.common.loading import load_processor
    from comem_hf.modeling import CoMemForConditionalGeneration

    processor = load_processor(name)
    if is_new:
        new_configs = {f"{site}_config": settings for site, settings in new_sites.items()}
        return CoMemForConditionalGeneration.from_backbone(name, **new_encoder, **new_configs), processor
    model = CoMemForConditionalGeneration.from_pretrained(name, reader=reader)
    for site, settings in new_sites.items():
        getattr(model, f"add_{site}")(**settings)
    return model, processor
