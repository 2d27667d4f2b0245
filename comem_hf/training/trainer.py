"""transformers' `Trainer`, with further objectives, generated answers in evaluations, and pushes of whole models."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset, Sampler
from transformers import TrainerCallback
from transformers.integrations import is_deepspeed_zero3_enabled
from transformers.trainer_utils import HubStrategy, has_length

from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.modeling.sharded_weights_comem import whole_tensor
from comem_hf.training.batches.collator import MemoryCollator
from comem_hf.training.batches.drawing import Drawing
from comem_hf.training.data.length_groups import LengthGroups
from comem_hf.training.evaluating.answers import GeneratedAnswers
from comem_hf.training.objectives.added_loss import AddedLoss
from comem_hf.training.objectives.answer_tokens import answer_logits, predicts_answer
from comem_hf.training.objectives.check import RESAMPLER_LAYERS
from comem_hf.training.objectives.distillation import answer_divergence, teacher_logits
from comem_hf.training.objectives.label_smoothing import SmoothedLoss, refuse_loss_outside
from comem_hf.training.processes.launching import refuse_unfit_sharding
from comem_hf.training.results.publishing import CheckpointPublisher
from comem_hf.training.watching.finite_loss import FiniteLoss

from .arguments import MemoryTrainingArguments
from .checkpoints import TrainedPartsTrainer
from .optimizer import MuonWithAdamW


class MemoryEncoderTrainer(TrainedPartsTrainer):
    """Trainer of a [`CoMemForConditionalGeneration`] whose checkpoints hold only the trainable parameters.

    A checkpoint holds the trainable tensors under their parameter names, and what the `Trainer` needs to resume. It is
    not a model folder: [`train_memory_encoder`] saves one when the training has finished.

    Args:
        args ([`MemoryTrainingArguments`]): The settings. What their objectives need beside the inputs of the model,
            batches hold under names of their own (see [`MemoryCollator`]).
        publisher ([`CheckpointPublisher`], *optional*): What pushes the model as it is in training, with
            `args.push_to_hub`.
        kwargs: Other arguments of `Trainer`. In training, and in evaluation without `compute_metrics`, logits are
            computed only where answers are predicted, and no cache is made. `compute_metrics` gets logits and labels
            as the model has them: the token at a position is predicted at the position before.
    """

    def __init__(
        self,
        model: nn.Module,
        args: MemoryTrainingArguments,
        *,
        publisher: CheckpointPublisher | None = None,
        **kwargs,
    ):
        if args.push_to_hub and publisher is None:
            raise ValueError("`push_to_hub` needs a `publisher`; `train_memory_encoder(publish=...)` makes one.")
        smoothing = args.label_smoothing_factor
        refuse_loss_outside(model, smoothing, kwargs.get("compute_loss_func"))
        if smoothing > 0 and kwargs.get("compute_loss_func") is None:
            kwargs["compute_loss_func"] = SmoothedLoss(smoothing)
        super().__init__(model, args, **kwargs)
        self.added_loss = AddedLoss(
            reconstruction_weight=args.reconstruction_weight,
            contrastive_weight=args.contrastive_weight,
            contrastive_layer=args.contrastive_layer,
            contrastive_temperature=args.contrastive_temperature,
        )
        if isinstance(self.data_collator, MemoryCollator):
            self.add_callback(DrawingOfEpoch(self.data_collator.drawing))
        will_be_sharded = self.is_fsdp_enabled or is_deepspeed_zero3_enabled()
        if publisher is not None and will_be_sharded and args.hub_strategy != HubStrategy.END:
            raise ValueError("With sharded weights only the result can be pushed: set `hub_strategy` to 'end'.")
        self.publisher = publisher
        self.finite_loss = FiniteLoss(self.accelerator)
        self.add_callback(self.finite_loss)
        self.answers: GeneratedAnswers | None = None
        self.last_inputs: dict[str, Any] | None = None
        fsdp, deepspeed = (getattr(self.accelerator.state, f"{name}_plugin", None) for name in ("fsdp", "deepspeed"))
        refuse_unfit_sharding(self.model, self.args, fsdp, deepspeed)
        if fsdp is not None and fsdp.mixed_precision_policy is not None:  # the loss stays in float32
            fsdp.mixed_precision_policy = replace(fsdp.mixed_precision_policy, output_dtype=None)

    def train(self, *args: Any, **kwargs: Any):
        """Train as `Trainer` does."""
        try:
            return super().train(*args, **kwargs)
        finally:
            end_progress_bars(self.callback_handler.callbacks)

    def get_eval_dataloader(self, *args: Any, **kwargs: Any):
        """Return the data loader of an evaluation, whose batches are the same at every one."""
        with self._collator_for_evaluation():
            return super().get_eval_dataloader(*args, **kwargs)

    def get_test_dataloader(self, *args: Any, **kwargs: Any):
        """Return the data loader of `predict`, whose batches are those of an evaluation."""
        with self._collator_for_evaluation():
            return super().get_test_dataloader(*args, **kwargs)

    @contextmanager
    def _collator_for_evaluation(self):
        collator = self.data_collator
        if isinstance(collator, MemoryCollator):
            self.data_collator = collator.for_evaluation()
        try:
            yield
        finally:
            self.data_collator = collator

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None and self.args.muon_learning_rate is not None:
            self.optimizer = MuonWithAdamW(
                self.model if model is None else model,
                inside=[RESAMPLER_LAYERS],
                lr=self.args.learning_rate,
                muon_lr=self.args.muon_learning_rate,
                weight_decay=self.args.weight_decay,
                betas=(self.args.adam_beta1, self.args.adam_beta2),
                eps=self.args.adam_epsilon,
            )
        return super().create_optimizer() if model is None else super().create_optimizer(model)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        names = inputs.pop("names", ())
        self.last_inputs = dict(inputs)
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.finite_loss.saw(loss, names)
        return loss

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> torch.Tensor | float | None:
        norm = super()._get_grad_norm(*args, **kwargs)
        if not self.args.fp16:  # whose scaler skips updates with gradients that are too large
            self.finite_loss.norm = whole_tensor(norm) if hasattr(norm, "device_mesh") else norm
        return norm

    def loss_of_last_batch(self) -> torch.Tensor | None:
        """Return the loss of the batch that was trained on last, as the model is now, or `None` if there was none."""
        if self.last_inputs is None:
            return None
        inputs, self.last_inputs = self.last_inputs, None
        model = self.model_wrapped.eval()
        return self.prediction_step(model, inputs, prediction_loss_only=True)[0]

    def evaluation_loop(self, dataloader, description: str, *args: Any, metric_key_prefix: str = "eval", **kwargs):
        processor = getattr(self.data_collator, "processor", None)
        if processor is not None and self.args.max_eval_samples != 0:
            limits = self.args.max_eval_samples, self.args.eval_max_new_tokens
            self.answers = GeneratedAnswers(processor.tokenizer, *limits)
        try:
            output = super().evaluation_loop(
                dataloader, description, *args, metric_key_prefix=metric_key_prefix, **kwargs
            )
            if self.answers is not None and self.answers.score is not None:
                output.metrics[f"{metric_key_prefix}_exact_match"] = self.answers.score
        finally:
            self.answers = None
        return output

    def prediction_step(self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, *args, **kwargs):
        inputs = {name: value for name, value in inputs.items() if name != "names"}
        if self.answers is not None and "labels" in inputs:
            sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled  # then all processes generate as long as one
            with self.accelerator.autocast():
                self.answers.ask(self.model, inputs, self.accelerator.gather_for_metrics, synced_gpus=sharded)
        inputs["loss_only"] = prediction_loss_only
        return super().prediction_step(model, inputs, prediction_loss_only, *args, **kwargs)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler | None:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        args = self.args
        has_lengths = args.length_column_name in (getattr(dataset, "column_names", None) or ())
        if args.train_sampling_strategy != "group_by_length" or not has_length(dataset) or has_lengths:
            return super()._get_train_sampler(train_dataset)
        return LengthGroups(dataset, args.train_batch_size * args.gradient_accumulation_steps, args.sampling_seed)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        inputs = dict(inputs)
        teacher_inputs, labels = inputs.pop("teacher_inputs", None), inputs.get("labels")
        loss_only = inputs.pop("loss_only", model.training)
        added = self.added_loss.take(inputs, model.training)
        if loss_only and self._can_leave_logits_out and labels is not None:
            inputs = {**inputs, "logits_to_keep": predicts_answer(labels), "use_cache": False}
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        # As in the model's own loss: gradients are averaged over the processes, and the count is their sum.
        num_processes = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        if teacher_inputs is not None and model.training:
            teacher = teacher_logits(self.accelerator.unwrap_model(model).backbone, teacher_inputs)
            divergence = answer_divergence(answer_logits(outputs["logits"], labels), teacher)
            if num_items_in_batch is None:
                divergence = divergence.mean()
            else:
                divergence = divergence.sum() * num_processes / num_items_in_batch
            loss = loss + self.args.distillation_weight * divergence
        loss = loss + self.added_loss(
            model,
            self.accelerator.unwrap_model(model),
            outputs,
            added,
            num_items_in_batch,
            num_processes,
        )
        return (loss, outputs) if return_outputs else loss

    @property
    def _can_leave_logits_out(self) -> bool:
        """Whether the loss needs no logits but those that predict answers, and the model can compute these alone."""
        known = self.compute_loss_func is None or isinstance(self.compute_loss_func, SmoothedLoss)
        return known and isinstance(self.model, CoMemForConditionalGeneration)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self.is_world_process_zero() and self.args.hub_strategy != HubStrategy.END:
            self.publisher.push_checkpoint(self.model, self.hub_model_id, Path(checkpoint_folder), self.args)


class DrawingOfEpoch(TrainerCallback):
    """Tells the collator the epoch, for what it draws anew in each."""

    def __init__(self, drawing: Drawing):
        self.drawing = drawing

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.drawing.epoch = int(state.epoch or 0)


def end_progress_bars(callbacks: list[TrainerCallback]) -> None:
    """End the line of each progress bar that an error has left open, so that the error stands on a line of its own."""
    for callback in callbacks:
        for name in ("training_bar", "prediction_bar"):  # of transformers' `ProgressCallback`
            bar = getattr(callback, name, None)
            if bar is not None:
                bar.close()
