"""Settings of a training run, with the published defaults."""

from dataclasses import dataclass, field, fields

import torch
from transformers import TrainingArguments

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
        distillation_weight (`float`, *optional*, defaults to `0.0`): Weight of an added loss: the Kullback-Leibler
            divergence, on the tokens of the answers, from the predictions of the same frozen backbone with the items'
            text and images in its prompt. 0 turns it off.
        muon_learning_rate (`float`, *optional*): Learning rate of Muon for the matrices in the resampler's layers,
            which are trained from scratch and learn faster with it. AdamW trains the rest at `learning_rate`, without
            weight decay; `optim` is not used. Needs torch 2.9. By default AdamW trains everything.
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
    distillation_weight: float = 0.0
    muon_learning_rate: float | None = None

    def __post_init__(self):
        if self.accelerator_config is None:
            # The first process would else make all batches and cut them, streamed data's pictures at wrong places.
            self.accelerator_config = {"dispatch_batches": False}
        super().__post_init__()
        refuse_data_parallel(self.n_gpu)
        self.dataloader_pin_memory = self.dataloader_pin_memory and self.device.type != "cpu"  # else torch warns
        if self.max_memories is not None and self.max_memories < 1:
            raise ValueError(f"`max_memories` must be a positive number or None for all, got {self.max_memories!r}.")
        if self.distillation_weight < 0:
            raise ValueError(f"`distillation_weight` must not be negative, got {self.distillation_weight!r}.")
        if self.muon_learning_rate is not None and self.muon_learning_rate <= 0:
            raise ValueError(f"`muon_learning_rate` must be positive or None, got {self.muon_learning_rate!r}.")
        if self.muon_learning_rate is not None and not hasattr(torch.optim, "Muon"):
            raise ValueError(f"`muon_learning_rate` needs torch 2.9 or newer, this is {torch.__version__}.")


# The argument's name changed within transformers 5.
ACTIVATION_CHECKPOINTING = (
    "activation_checkpointing"
    if "activation_checkpointing" in {field.name for field in fields(TrainingArguments)}
    else "gradient_checkpointing"
)
