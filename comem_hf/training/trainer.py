"""transformers' `Trainer`, with checkpoints of what is trained alone and optional distillation."""

from pathlib import Path
from typing import Any

import torch
from accelerate.utils import save_fsdp_optimizer
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import Dataset, Sampler
from transformers import Trainer, TrainerCallback
from transformers.trainer import SCHEDULER_NAME
from transformers.trainer_utils import has_length
from transformers.utils import SAFE_WEIGHTS_NAME

from comem_hf.modeling.sharded_weights_comem import is_sharded, whole_tensor
from comem_hf.training.data.length_groups import LengthGroups
from comem_hf.training.objectives.distillation import answer_divergence
from comem_hf.training.objectives.label_smoothing import SmoothedLoss, refuse_loss_outside
from comem_hf.training.parts.freezing import trainable_parameters
from comem_hf.training.processes.launching import refuse_unfit_sharding

from .arguments import MemoryTrainingArguments
from .optimizer import MuonWithAdamW


class MemoryEncoderTrainer(Trainer):
    """Trainer of a [`CoMemForConditionalGeneration`] whose checkpoints hold only the trainable parameters.

    A checkpoint holds the trainable tensors under their parameter names, and what the `Trainer` needs to resume. It is
    not a model folder: [`train_memory_encoder`] saves one when the training has finished.

    Args:
        args ([`MemoryTrainingArguments`]): The settings. With `distillation_weight`, batches hold `teacher_inputs`
            (see [`MemoryCollator`]).
        kwargs: Other arguments of `Trainer`. `compute_metrics` gets logits and labels as the model has them: the token
            at a position is predicted at the position before.
    """

    def __init__(self, model: nn.Module | None = None, args: MemoryTrainingArguments | None = None, **kwargs):
        smoothing = 0.0 if args is None else args.label_smoothing_factor
        refuse_loss_outside(model, smoothing, kwargs.get("compute_loss_func"))
        if smoothing > 0 and kwargs.get("compute_loss_func") is None:
            kwargs["compute_loss_func"] = SmoothedLoss(smoothing)
        super().__init__(model, args, **kwargs)
        state = self.accelerator.state
        plugins = (getattr(state, name, None) for name in ("fsdp_plugin", "deepspeed_plugin"))
        refuse_unfit_sharding(self.model, self.args, *plugins)

    def train(self, *args: Any, **kwargs: Any):
        """Train as `Trainer` does."""
        try:
            return super().train(*args, **kwargs)
        finally:
            end_progress_bars(self.callback_handler.callbacks)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None and self.args.muon_learning_rate is not None:
            self.optimizer = MuonWithAdamW(
                self.model if model is None else model,
                inside=["memory_encoder.resampler.layers."],
                lr=self.args.learning_rate,
                muon_lr=self.args.muon_learning_rate,
                weight_decay=self.args.weight_decay,
                betas=(self.args.adam_beta1, self.args.adam_beta2),
                eps=self.args.adam_epsilon,
            )
        return super().create_optimizer() if model is None else super().create_optimizer(model)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler | None:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        args = self.args
        has_lengths = args.length_column_name in (getattr(dataset, "column_names", None) or ())
        if args.train_sampling_strategy != "group_by_length" or not has_length(dataset) or has_lengths:
            return super()._get_train_sampler(train_dataset)
        seed = args.seed if args.data_seed is None else args.data_seed
        return LengthGroups(dataset, args.train_batch_size * args.gradient_accumulation_steps, seed)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        teacher_inputs, labels = inputs.pop("teacher_inputs", None), inputs.get("labels")
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if teacher_inputs is not None and model.training:
            teacher_labels = teacher_inputs.pop("labels")
            with torch.no_grad():
                teacher = self.accelerator.unwrap_model(model).backbone(**teacher_inputs)
            divergence = answer_divergence(outputs["logits"], labels, teacher.logits, teacher_labels)
            if num_items_in_batch is None:
                divergence = divergence.mean()
            else:  # as in the model's own loss: gradients are averaged over the processes, the count is summed
                divergence = divergence.sum() * self.accelerator.num_processes / num_items_in_batch
            loss = loss + self.args.distillation_weight * divergence
        return (loss, outputs) if return_outputs else loss

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save what is trained; `Trainer` would collect all of a model whose weights are spread over processes."""
        if not is_sharded(self.model):
            return super().save_model(output_dir, _internal_call)
        trained = trainable_parameters(self.model)
        self._save(output_dir, {name: whole_tensor(parameter).cpu() for name, parameter in trained.items()})

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        wholes = {} if state_dict is None else state_dict  # of weights that are spread over processes
        tensors = {
            name: wholes.get(name, tensor).detach().contiguous()
            for name, tensor in trainable_parameters(self.model).items()
        }
        save_file(tensors, folder / SAFE_WEIGHTS_NAME, metadata={"format": "pt"})

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            return super()._save_optimizer_and_scheduler(output_dir)
        # Without the weights, which `Trainer` would save here, those of the frozen backbone included.
        plugin = self.accelerator.state.fsdp_plugin
        save_fsdp_optimizer(plugin, self.accelerator, self.optimizer, self.model, output_dir)
        if self.args.should_save:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        path = Path(resume_from_checkpoint) / SAFE_WEIGHTS_NAME
        parameters = trainable_parameters(self.model if model is None else model)
        tensors = load_file(path)
        if {name: t.shape for name, t in tensors.items()} != {name: p.shape for name, p in parameters.items()}:
            raise ValueError(f"The checkpoint {str(path)!r} was made for other trainable parts.")
        with torch.no_grad():
            for name, parameter in parameters.items():
                value = tensors[name].to(parameter.device)
                if hasattr(parameter, "device_mesh"):  # spread over processes
                    from torch.distributed.tensor import distribute_tensor

                    value = distribute_tensor(value, parameter.device_mesh, parameter.placements)
                parameter.copy_(value)

    def _load_best_model(self) -> None:
        if self.is_deepspeed_enabled and is_sharded(self.model):
            return super()._load_best_model()
        self._load_from_checkpoint(self.state.best_model_checkpoint)


def end_progress_bars(callbacks: list[TrainerCallback]) -> None:
    """End the line of each progress bar that an error has left open, so that the error stands on a line of its own."""
    for callback in callbacks:
        for name in ("training_bar", "prediction_bar"):  # of transformers' `ProgressCallback`
            bar = getattr(callback, name, None)
            if bar is not None:
                bar.close()
