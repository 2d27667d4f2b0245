"""A run of `comem train`: its settings put together, data and model opened, trained and described."""

from dataclasses import MISSING, dataclass, fields
from inspect import get_annotations
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import TrainOutput

from comem_hf.hub.push_model import ModelPublisher
from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.training import (
    MemoryTrainingArguments,
    open_training_data,
    train_memory_encoder,
    trainable_share,
)
from comem_hf.training.arguments import refuse_unknown_metric
from comem_hf.training.parts.items import check_has_items
from comem_hf.training.results.model_folder import backbone_is_published, is_memory_only
from comem_hf.training.run_folder import DECISIVE_ARGUMENTS, RunFolder
from comem_hf.training.watching.loss_curve import LossCurve
from comem_hf.training.watching.summary import run_summary

from .models import ModelToTrain, as_typed
from .options import GROUPS
from .settings import DataSettings, ModelSettings
from .settings_file import SettingsFile


@dataclass
class Run:
    """A training run.

    Args:
        model ([`ModelSettings`]): Its model.
        data ([`DataSettings`]): Its data.
        args ([`MemoryTrainingArguments`]): The settings of the training.
        recorded (`dict[str, Any]`): The settings that are written beside the result.
    """

    model: ModelSettings
    data: DataSettings
    args: MemoryTrainingArguments
    recorded: dict[str, Any]

    @classmethod
    def from_settings(cls, given: dict[str, Any]) -> "Run":
        """Fill in what was not given.

        Args:
            given (`dict[str, Any]`): Settings by the fields of [`GROUPS`].

        Raises:
            ValueError: If a setting is missing or contradicts others.
        """
        for name, what in (("model", "a backbone or a model"), ("data", "training rows"), ("output_dir", "a folder")):
            if not given.get(name):
                raise ValueError(f"`--{name.replace('_', '-')}` is missing: name {what}, here or in a settings file.")
        if given.get("resume_from_checkpoint"):
            raise ValueError("Leave out `--resume-from-checkpoint`: the same command goes on with an interrupted run.")
        if given.get("eval_strategy") not in (None, "no") and not given.get("eval_data"):
            raise ValueError(f"`--eval-strategy` is {given['eval_strategy']!r}, but there is no `--eval-data`.")
        if given.get("streaming") and (given.get("max_steps") or 0) < 1:
            raise ValueError("`--streaming` needs `--max-steps`: the number of rows of a stream is not known.")
        derived: dict[str, Any] = {}
        if given.get("eval_data"):
            derived["eval_strategy"] = "epoch"
        if "per_device_train_batch_size" in given:
            derived["per_device_eval_batch_size"] = given["per_device_train_batch_size"]
        if given.get("shuffle") is False:
            derived["train_sampling_strategy"] = "sequential"
        recorded = _with_decisive_defaults({**derived, **given})
        # Without an accelerator bf16 would be refused; that is a fact about the machine, not the run.
        values = {"use_cpu": not torch.accelerator.is_available(), **derived, **given}
        parts = [group(**{f.name: values[f.name] for f in fields(group) if f.name in values}) for group in GROUPS]
        refuse_unknown_metric(parts[-1])
        return cls(*parts, recorded)

    def train(self) -> tuple[TrainOutput, str]:
        """Open data and model, and train.

        Returns:
            `tuple`: Steps, mean loss and metrics, and lines about the run and what was saved.

        Raises:
            ValueError: If data and model do not go together, or neither can be used.
        """
        to_train = ModelToTrain(self.model)
        RunFolder(self.args.output_dir, {}).interrupted_settings()  # refuses it before data and model are read
        data, args = self.data, self.args
        dataset = self._open(
            data.data, data.split, streaming=data.streaming, shuffle_buffer=data.shuffle_buffer, seed=self.args.seed
        )
        eval_dataset = self._open(data.eval_data, data.eval_split) if data.eval_data else None
        set_seed(args.seed)
        model, processor = to_train.load()
        check_has_items(model, dataset, data.items_in_prompt, as_typed)
        choice = True if self.model.memory_only else False if self.model.save_backbone else None
        if args.process_index == 0:
            size = f"{len(dataset)} samples; " if hasattr(dataset, "__len__") else ""
            print(f"{size}{trainable_share(model)}")
        output = train_memory_encoder(
            model,
            processor,
            dataset,
            args,
            eval_dataset=eval_dataset,
            callbacks=[SettingsFile(self.recorded), LossCurve()],
            items_in_prompt=data.items_in_prompt,
            memory_only=choice,
            publish=self._publish if args.push_to_hub else None,
        )
        saved = _saved(model, args, is_memory_only(model, choice))
        if args.process_index > 0:
            return output, saved
        state = TrainerState.load_from_json(str(Path(args.output_dir, TRAINER_STATE_NAME)))
        best = {"keeps_best": args.load_best_model_at_end, "metric": args.metric_for_best_model}
        return output, f"{run_summary(state, output.training_loss, **best)}\n{saved}"

    def _open(self, source: str, split: str | None, **options: Any):
        of_set = {"subset": self.data.subset, "revision": self.data.data_revision, "ignore": self.data.ignore or ()}
        return open_training_data(source, split=split, **of_set, **options)

    def _publish(self, folder: Path, repo_id: str, message: str):
        args = self.args
        of_hub = {"private": args.hub_private_repo, "revision": args.hub_revision, "token": args.hub_token}
        return ModelPublisher(folder).push(repo_id, commit_message=message, **of_hub)


def _with_decisive_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """Add the other settings that decide the outcome, which are defaults of this version."""
    recorded = {}
    for group in GROUPS:
        ours = {*DECISIVE_ARGUMENTS, *get_annotations(group)}
        for field in fields(group):
            if field.name in given:
                recorded[field.name] = given[field.name]
            elif field.name in ours and field.default not in (None, False, MISSING):
                recorded[field.name] = field.default
    return recorded


def _saved(model: CoMemForConditionalGeneration, args: MemoryTrainingArguments, memory_only: bool) -> str:
    loading = f"`AutoModelForImageTextToText.from_pretrained({args.output_dir!r})` loads"
    if not memory_only:
        return f"Saved the trained model to {args.output_dir}: {loading} it."
    name = model.config.backbone_name_or_path
    where = f"{name} on the Hub" if backbone_is_published(model) else name
    return (
        f"Saved the trained memory to {args.output_dir} without its backbone, {where}: {loading} both; with "
        "`--save-backbone` they are saved together."
    )
