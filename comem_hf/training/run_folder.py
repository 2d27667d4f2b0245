"""The output folder of a training run: new, resumed, or refused with a reason."""

import json
import re
from pathlib import Path
from typing import Any

from transformers import TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from comem_hf.files.whole_file import write_durably


SETTINGS_NAME = "training_settings.json"
_CHECKSUM = re.compile("[0-9a-f]{64}")

# Arguments that decide the outcome; the others (logging, saving, workers, ...) may change when a run is resumed.
DECISIVE_ARGUMENTS = (
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "average_tokens_across_devices",
    "bf16",
    "contrastive_layer",
    "contrastive_temperature",
    "contrastive_weight",
    "data_seed",
    "dataloader_drop_last",
    "distillation_weight",
    "early_stopping_patience",
    "early_stopping_threshold",
    "eval_max_new_tokens",
    "eval_steps",
    "fp16",
    "gradient_accumulation_steps",
    "greater_is_better",
    "label_smoothing_factor",
    "learning_rate",
    "length_column_name",
    "load_best_model_at_end",
    "lr_scheduler_kwargs",
    "lr_scheduler_type",
    "max_eval_samples",
    "max_grad_norm",
    "max_length",
    "max_memories",
    "max_steps",
    "metric_for_best_model",
    "min_memories",
    "muon_learning_rate",
    "nested_memory_lengths",
    "num_train_epochs",
    "optim",
    "optim_args",
    "per_device_train_batch_size",
    "reconstruction_weight",
    "seed",
    "shuffle_memories",
    "train_sampling_strategy",
    "warmup_steps",
    "weight_decay",
    "world_size",
)


class RunFolder:
    """The folder that a training run writes to, with the settings of the run.

    Args:
        path (`str` or `Path`): The folder; it need not exist.
        settings (`dict[str, Any]`): Settings that decide the outcome of the run, JSON-serialisable; a run is resumed
            only with the same settings.
        data (`str`, *optional*, defaults to `""`): What the data is called in messages.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any], data: str = ""):
        self.path = Path(path)
        self.data = data
        self.settings = json.loads(json.dumps(settings))

    @property
    def settings_path(self) -> Path:
        return self.path / SETTINGS_NAME

    def interrupted_settings(self) -> dict[str, Any] | None:
        """Return the settings of the interrupted run in the folder, or `None` if the folder is new.

        Raises:
            ValueError: If the folder holds something else, or a finished run.
        """
        if not self.settings_path.is_file():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise ValueError(
                    f"The output folder {str(self.path)!r} exists and holds no training run (it has no "
                    f"{SETTINGS_NAME}); choose a new one."
                )
            return None
        try:
            record = json.loads(self.settings_path.read_text(encoding="utf-8"))
            before, finished = record["settings"], record["finished"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{str(self.settings_path)!r} cannot be read; choose a new output folder.") from error
        if finished:
            raise ValueError(f"The output folder {str(self.path)!r} holds a finished training run; choose a new one.")
        return before

    def open(self) -> Path | None:
        """Make the folder ready for the run.

        Returns:
            `Path`: The last complete checkpoint of the same run, or `None` to start from the beginning.

        Raises:
            ValueError: If the folder holds something else, a run with other settings (the message names them), or a
                finished run.
        """
        before = self.interrupted_settings()
        if before is None:
            self._write(finished=False)
            return None
        # A setting that the record lacks was not recorded by the version that wrote it, and is not compared.
        changed = [key for key in before if before[key] != self.settings.get(key)]
        if changed:
            changes = ", ".join(self._change(key, before[key]) for key in changed)
            raise ValueError(
                f"The output folder {str(self.path)!r} holds a training run with other settings ({changes}); "
                "go on with the same settings or choose a new folder."
            )
        return self.last_checkpoint()

    def _change(self, key: str, before: Any) -> str:
        now = self.settings.get(key)
        if not any(_CHECKSUM.match(str(value)) for value in (before, now)):
            return f"{key} was {before!r} and is {now!r}"
        called = f" ({self.data})" if key == "data" and self.data else ""
        return f"{key}{called} is not what the run began with"

    def last_checkpoint(self) -> Path | None:
        """Return the newest complete checkpoint, or `None` if there is none."""
        checkpoints = []
        for folder in self.path.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
            try:  # the trainer writes its state last
                step = json.loads((folder / TRAINER_STATE_NAME).read_text(encoding="utf-8"))["global_step"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            checkpoints.append((step, folder))
        return max(checkpoints)[1] if checkpoints else None

    def finish(self) -> None:
        """Record that the run has finished and its result is saved."""
        self._write(finished=True)

    def _write(self, finished: bool) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        record = json.dumps({"settings": self.settings, "finished": finished}, indent=2, sort_keys=True) + "\n"
        write_durably(self.settings_path, lambda path: path.write_text(record, encoding="utf-8"))


def decisive_settings(args: TrainingArguments) -> dict[str, Any]:
    """Return the training arguments that decide the outcome of a run.

    Args:
        args (`TrainingArguments`): The arguments of the run.

    Returns:
        `dict[str, Any]`: Names and JSON-serialisable values.
    """
    settings = {**args.to_dict(), "world_size": args.world_size}
    return {name: settings.get(name) for name in DECISIVE_ARGUMENTS}  # older versions of transformers lack some
