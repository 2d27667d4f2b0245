"""Settings of a training run, with the published defaults."""

import os
from dataclasses import dataclass, field
from difflib import get_close_matches

import torch
from transformers import TrainingArguments

from comem_hf.training.processes.launching import ACTIVATION_CHECKPOINTING as ACTIVATION_CHECKPOINTING
from comem_hf.training.processes.launching import refuse_data_parallel


@dataclass
class MemoryTrainingArguments(TrainingArguments):
    """transformers' `TrainingArguments` with the defaults of the CoMEM paper (NeurIPS 2025) and its training script.

    Learning rate 5e-5 with a cosine schedule and a warm-up of 3 % of the steps, weight decay 0.1, gradient clipping at
    3.0, two epochs, 16 samples per update, a checkpoint every 800 updates. The adapter's own settings, rank 16, alpha
    32 and dropout 0.05, belong to the model: see `CoMemConfig.lora_config`.

    Args:
        max_memories (`int`, *optional*): Number of memory items used per sample, from the first on; all by default.
            The published training uses 3.
        max_length (`int`, *optional*): Most tokens of a sample's prompt and answers together, those of its pictures
            included and memory items not. Of longer ones, turns before the last question are left out, the oldest
            first, then the end of the last question is cut; see [`LengthLimit`]. By default nothing is cut.
        min_memories (`int`, *optional*): Least number of items per sample: for each sample and epoch, the number is
            drawn from this one to `max_memories`, or to all of the sample's. The first item of a row, which is the
            true one, always stays. By default as many as possible are used.
        shuffle_memories (`bool`, *optional*, defaults to `False`): Give the items of each sample a random order, drawn
            anew in each epoch, so that the model learns to find the true one. The teacher of a distillation reads them
            in the order of the rows.
        nested_memory_lengths (`list[int]`, *optional*): Numbers of vectors per item, such as `[1, 2, 4, 8]`, of which
            one is drawn for each sample and epoch: only the first so many vectors are used, so that each of these
            lengths is a memory that answers. By default all are used.
        distillation_weight (`float`, *optional*, defaults to `0.0`): Weight of an added loss: the Kullback-Leibler
            divergence, on the tokens of the answers, from the predictions of the same frozen backbone with the items'
            text and images in its prompt. 0 turns it off.
        reconstruction_weight (`float`, *optional*, defaults to `0.0`): Weight of an added loss: the backbone repeats
            the text of a sample's first item from the item's memory alone (see [`reconstruction_loss`]).
        contrastive_weight (`float`, *optional*, defaults to `0.0`): Weight of an added loss: the memory of a sample's
            first item is nearer to its own question than to the others of the batch (see [`contrastive_loss`]). Others
            are those of one batch on one device, so `per_device_train_batch_size` must be at least 2 and better large.
        contrastive_temperature (`float`, *optional*, defaults to `0.07`): Temperature of that loss.
        contrastive_layer (`int`, *optional*): Layer of the backbone after which memory and question are compared, 0
            for its input; by default the one in the middle.
        muon_learning_rate (`float`, *optional*): Learning rate of Muon for the matrices in the resampler's layers,
            which are trained from scratch and learn faster with it. AdamW trains the rest at `learning_rate`, without
            weight decay; `optim` is not used. Needs torch 2.9. By default AdamW trains everything.
        max_eval_samples (`int`, *optional*, defaults to `256`): Rows of the evaluation data whose questions are
            answered at each evaluation, from the first on; the share of exact answers is `eval_exact_match`. `None`:
            all; 0: none.
        eval_max_new_tokens (`int`, *optional*, defaults to `32`): Longest of these answers, in tokens.
        early_stopping_patience (`int`, *optional*): End the run when so many evaluations in turn have not improved
            `metric_for_best_model` (`"loss"` if it is not given). By default the run goes on to its end.
        early_stopping_threshold (`float`, *optional*, defaults to `0.0`): The least change that is an improvement.
    """

    learning_rate: float = 5e-5
    lr_scheduler_type: str = "cosine"
    warmup_steps: float = 0.03
    weight_decay: float = 0.1
    max_grad_norm: float = 3.0
    num_train_epochs: float = 2.0
    per_device_train_batch_size: int = 4
    gradient_accumulation_steps: int = 4
    save_steps: float = 800
    save_total_limit: int | None = 2
    logging_steps: float = 10
    remove_unused_columns: bool | None = False
    label_names: list[str] | None = field(default_factory=lambda: ["labels"])
    report_to: None | str | list[str] = "none"
    ddp_find_unused_parameters: bool | None = False  # the model sees to it that none is
    max_memories: int | None = None
    max_length: int | None = None
    min_memories: int | None = None
    shuffle_memories: bool = False
    nested_memory_lengths: list[int] | None = None
    distillation_weight: float = 0.0
    reconstruction_weight: float = 0.0
    contrastive_weight: float = 0.0
    contrastive_temperature: float = 0.07
    contrastive_layer: int | None = None
    muon_learning_rate: float | None = None
    logging_nan_inf_filter: bool = False  # such a loss ends the run: see `FiniteLoss`
    max_eval_samples: int | None = 256
    eval_max_new_tokens: int = 32
    early_stopping_patience: int | None = None
    early_stopping_threshold: float = 0.0

    def __post_init__(self):
        if self.early_stopping_patience is not None:
            self.metric_for_best_model = self.metric_for_best_model or "loss"
            self.restore_callback_states_from_checkpoint = True  # a resumed run must not lose its patience
        launched = os.environ.get("ACCELERATE_MIXED_PRECISION")  # a launcher's setting, which decides the outcome
        if launched in ("bf16", "fp16") and not (self.bf16 or self.fp16):
            setattr(self, launched, True)
        super().__post_init__()
        refuse_data_parallel(self.n_gpu)
        self.dataloader_pin_memory = self.dataloader_pin_memory and self.device.type != "cpu"  # else torch warns
        if self.accelerator_config.dispatch_batches is None:  # of streams
            # Each process makes its own batches: one of all cannot be sliced, as pictures and items are not its rows.
            self.accelerator_config.dispatch_batches = False
        if self.max_memories is not None and self.max_memories < 1:
            raise ValueError(f"`max_memories` must be a positive number or None for all, got {self.max_memories!r}.")
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"`max_length` must be a positive number of tokens or None, got {self.max_length!r}.")
        for name in ("distillation_weight", "reconstruction_weight", "contrastive_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must not be negative, got {getattr(self, name)!r}.")
        self._check_items_and_lengths()
        if self.contrastive_weight > 0:
            self._check_contrastive()
        if self.muon_learning_rate is not None and self.muon_learning_rate <= 0:
            raise ValueError(f"`muon_learning_rate` must be positive or None, got {self.muon_learning_rate!r}.")
        if self.muon_learning_rate is not None and not hasattr(torch.optim, "Muon"):
            raise ValueError(f"`muon_learning_rate` needs torch 2.9 or newer, this is {torch.__version__}.")
        self._check_evaluation()

    def _check_evaluation(self):
        if self.max_eval_samples is not None and self.max_eval_samples < 0:
            raise ValueError(f"`max_eval_samples` must not be negative, got {self.max_eval_samples!r}.")
        if self.eval_max_new_tokens < 1:
            raise ValueError(f"`eval_max_new_tokens` must be a positive number, got {self.eval_max_new_tokens!r}.")
        if self.max_eval_samples == 0 and self.metric_for_best_model in ("exact_match", "eval_exact_match"):
            raise ValueError(
                "`metric_for_best_model` is 'exact_match', but `max_eval_samples` is 0, so nothing is answered."
            )
        if self.early_stopping_patience is not None:
            if self.early_stopping_patience < 1:
                raise ValueError(
                    f"`early_stopping_patience` must be a positive number, got {self.early_stopping_patience!r}."
                )
            if self.eval_strategy == "no":
                raise ValueError(
                    "`early_stopping_patience` needs evaluations: set `eval_strategy` to 'steps' or 'epoch'."
                )

    def _check_items_and_lengths(self):
        if self.min_memories is not None:
            most = self.max_memories
            if self.min_memories < 1 or most is not None and self.min_memories > most:
                raise ValueError(
                    "`min_memories` must be a number from 1 to `max_memories`, or None for as many as possible, got "
                    f"{self.min_memories!r} with `max_memories` {most!r}."
                )
        lengths = self.nested_memory_lengths
        if lengths is not None and (not lengths or min(lengths) < 1 or len(set(lengths)) < len(lengths)):
            raise ValueError(
                f"`nested_memory_lengths` must be different positive numbers, such as [1, 2, 4, 8], or None for all "
                f"vectors, got {lengths!r}."
            )

    def _check_contrastive(self):
        if self.contrastive_temperature <= 0:
            raise ValueError(f"`contrastive_temperature` must be positive, got {self.contrastive_temperature!r}.")
        if self.contrastive_layer is not None and self.contrastive_layer < 0:
            raise ValueError(
                f"`contrastive_layer` must be a layer's number from 0 on, or None for the one in the middle, got "
                f"{self.contrastive_layer!r}."
            )
        if self.per_device_train_batch_size < 2:
            raise ValueError(
                "`contrastive_weight` compares the samples of a batch, so `per_device_train_batch_size` must be at "
                f"least 2, got {self.per_device_train_batch_size!r}."
            )
        if (getattr(self, f"{ACTIVATION_CHECKPOINTING}_kwargs", None) or {}).get("use_reentrant"):
            raise ValueError("`use_reentrant` must be False with `contrastive_weight`, which would get no gradients.")

    @property
    def sampling_seed(self) -> int:
        """Seed of the order of samples, and of what is drawn for each."""
        return self.seed if self.data_seed is None else self.data_seed


def refuse_unknown_metric(args: MemoryTrainingArguments) -> None:
    """Refuse a `metric_for_best_model` that an evaluation without `compute_metrics` does not have.

    Args:
        args ([`MemoryTrainingArguments`]): The settings.

    Raises:
        ValueError: Naming the nearest metric.
    """
    name, known = args.metric_for_best_model, ("loss", "exact_match")
    if name is None or name.removeprefix("eval_") in known:
        return
    near = get_close_matches(name.removeprefix("eval_"), known, 1, cutoff=0.4)
    way_out = f"did you mean {near[0]!r}?" if near else "another one needs `compute_metrics`."
    raise ValueError(f"`metric_for_best_model` must be 'loss' or 'exact_match', got {name!r}: {way_out}")
