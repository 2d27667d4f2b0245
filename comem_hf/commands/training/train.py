"""`comem train`: train a model's memory."""

import sys
from contextlib import nullcontext, redirect_stdout
from typing import Annotated

import typer

from comem_hf.commands.common.output import JsonOption


PASSED_ON = {"ignore_unknown_options": True}
"""Settings of the command: options that it does not know are left in the words, for transformers' parser."""


def train(
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE | --NAME VALUE",
            help="A YAML or JSON file of settings, or none, then options, which win.",
            show_default=False,
        ),
    ] = None,
    help_all: Annotated[bool, typer.Option("--help-all", help="List all settings, with defaults, and exit.")] = False,
    json: JsonOption = False,
) -> None:
    """Train a memory encoder, or memory in the layers, on a frozen backbone.

    A row of the data: {"image": "a.png", "question": "...", "answer": "...",
    "memories": [{"image": "b.png", "text": "..."}]}.

    Run the same command again to go on with an interrupted run. The settings that most runs need, with their defaults;
    all others of transformers' `TrainingArguments` work, too, under their own names:

    - **Data**: `--data` and `--eval-data` for rows; `--max-memories`: only the first so many items of a row;
      `--shuffle-memories`, `--no-shuffle`
    - **Model**: `--model` for a backbone (Qwen2-VL, Qwen2.5-VL) or a comem model, a folder or a Hub id
    - **Memory**: `--num-memory-tokens 8`, `--lora-rank 16`, `--encoder adapter` of a new memory encoder;
      `--ffn-memory JSON`, `--vision-memory JSON` in the layers; `--items-in-prompt` for a model that takes no items
    - **Parts**: `--only` memory-encoder, adapter or resampler (its two parts), ffn-memory, vision-memory,
      reader-adapter or reader, may be repeated; `--train-reader`: an adapter on the model that answers, too
    - **Objectives**: `--distillation-weight 0`, `--reconstruction-weight 0`, `--contrastive-weight 0`,
      `--nested-memory-lengths`
    - **Steps**: `--epochs 2` or `--max-steps`, `--batch-size 4`, `--gradient-accumulation 4`, `--learning-rate 5e-5`,
      `--muon-learning-rate`, `--seed 42`; `--bf16`, `--gradient-checkpointing`
    - **Evaluation**: `--eval-strategy`, `--early-stopping-patience`, `--load-best-model-at-end`,
      `--metric-for-best-model exact_match`
    - **Result**: `--output-dir` for a new folder, or that of an interrupted run; `--save-steps 800`,
      `--save-backbone` or `--memory-only`, `--report-to tensorboard`, `--push-to-hub`, `--hub-model-id`

    Example:
        comem train --model Qwen/Qwen2-VL-2B-Instruct --data train.jsonl --output-dir my-memory --bf16

    With settings from a file, of which one is another:
        comem train run.yaml --learning-rate 1e-4

    Another place of memory in a trained model:
        comem train --model my-memory --data train.jsonl --output-dir deeper --vision-memory '{}' --only vision-memory
    """
    if help_all:
        from .listing import list_settings

        print(list_settings())
        return

    from comem_hf.commands.common.output import print_json

    from .options import read_settings
    from .run import Run

    run = Run.from_settings(read_settings(settings or ()))
    with redirect_stdout(sys.stderr) if json else nullcontext():  # the trainer's own log
        done, saved = run.train()
    if run.args.process_index > 0:
        return
    if json:
        print_json({"folder": run.args.output_dir, "updates": done.global_step, "loss": done.training_loss})
        return
    print(saved)
