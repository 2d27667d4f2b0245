"""Training of a model's memory on a frozen backbone."""

from collections.abc import Callable
from typing import Any

from torch.utils.data import Dataset
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import EvalPrediction, TrainOutput
from transformers.utils import logging

from comem_hf.modeling import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.modeling.fingerprint_comem import backbone_checksum, fingerprint
from comem_hf.modeling.local_paths_comem import refuse_local_backbone
from comem_hf.modeling.sharded_weights_comem import is_sharded
from comem_hf.training.batches.collator import MemoryCollator
from comem_hf.training.checks.entities import check_no_shared_entities
from comem_hf.training.checks.survey import survey
from comem_hf.training.data.dataset import MemoryDataset
from comem_hf.training.data.items_in_context import items_in_context
from comem_hf.training.data.open import open_training_data
from comem_hf.training.data.sample import TrainingSample
from comem_hf.training.data.stream import MemoryStream
from comem_hf.training.objectives.check import check_objectives
from comem_hf.training.objectives.label_smoothing import refuse_loss_outside
from comem_hf.training.parts.freezing import (
    check_backbone_is_frozen,
    trainable_parameters,
    trainable_share,
    trained_parts,
)
from comem_hf.training.parts.items import check_has_items, check_items
from comem_hf.training.parts.unchanged import bits_of, changed_since
from comem_hf.training.processes.first_process import of_first_process
from comem_hf.training.processes.saving import save_whole
from comem_hf.training.results.model_folder import is_memory_only
from comem_hf.training.results.publishing import CheckpointPublisher, Publish
from comem_hf.training.watching.finite_loss import refuse_ruined

from .arguments import MemoryTrainingArguments, refuse_unknown_metric
from .run_folder import RunFolder, decisive_settings
from .trainer import MemoryEncoderTrainer


logger = logging.get_logger(__name__)


def train_memory_encoder(
    model: CoMemForConditionalGeneration,
    processor: CoMemProcessor,
    dataset: "Dataset | list[Any]",
    args: MemoryTrainingArguments,
    *,
    eval_dataset: "Dataset | list[Any] | None" = None,
    callbacks: list[TrainerCallback] | None = None,
    compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None = None,
    to_context: Callable[[TrainingSample], TrainingSample] = items_in_context,
    items_in_prompt: bool = False,
    memory_only: bool | None = None,
    publish: Publish | None = None,
) -> TrainOutput:
    """Train what is trainable of a model with transformers' `Trainer`, then save model and processor.

    That is the memory encoder and the memory in feed-forward layers and vision tower, unless [`train_only`] has chosen
    among them. The loss is the cross-entropy of the answers given query and memory, plus the weighted alignment loss
    of memory in the vision tower, and the further objectives of `args`. The result is saved to `args.output_dir`.
    Called again with the same model, data and settings, an interrupted run continues from its last complete checkpoint
    and ends with the result of an uninterrupted one. In mixed precision what is trained is in float32 and gets the
    dtype of the backbone in the end.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model, changed in place; only its memory encoder, feed-forward
            and vision memory, and a reader adapter that `add_reader_adapter` has made or `reader="trainable"` has
            loaded, may be trainable.
        processor ([`CoMemProcessor`]): Its processor.
        dataset (`torch.utils.data.Dataset` or `list`): What [`open_training_data`] returns, an object of `datasets`,
            or rows as in [`TrainingSample.from_row`], which may hold PIL images and [`MemoryItem`]s. Before the first
            step, they are looked through, see [`survey`]: of a stream the first 200 rows, of other data sets of torch
            none.
        args ([`MemoryTrainingArguments`]): The settings.
        eval_dataset (`torch.utils.data.Dataset` or `list`, *optional*): Rows for evaluation, at the times that
            `args.eval_strategy` says: the loss, and the share of questions that are answered exactly
            (`eval_exact_match`, see `args.max_eval_samples`).
        callbacks (`list[TrainerCallback]`, *optional*): Callbacks for the `Trainer`.
        compute_metrics (`Callable[[EvalPrediction], dict[str, float]]`, *optional*): Function of the logits and labels
            of `eval_dataset`, as in `Trainer`. Without it, evaluation keeps the loss alone.
        to_context (`Callable[[TrainingSample], TrainingSample]`, *optional*, defaults to [`items_in_context`]): The
            function that writes a sample's items into a prompt: the teacher's, with `args.distillation_weight`, or the
            model's own, with `items_in_prompt`.
        items_in_prompt (`bool`, *optional*, defaults to `False`): Write the items of rows into the prompts. A model
            without a memory encoder can be trained on rows with items by this only.
        memory_only (`bool`, *optional*): Whether the backbone is left out of what is saved. By default it is left out
            if it is quantized or the model names a commit of a repository on the Hub as its backbone.
        publish (`Callable`, *optional*): Function that pushes a model's folder to the Hub, for `args.push_to_hub`. It
            gets the folder, the repository's id and a line about the state. It is called with the result, and with
            the model as it is at each save unless `args.hub_strategy` is `"end"`.

    Returns:
        `TrainOutput`: Steps, mean loss and metrics.

    Raises:
        ValueError: If the backbone is not frozen, a row is not valid, the rows have more items than the model takes,
            or none where the memory encoder is trained, `dataset` and `eval_dataset` share entities, an objective is
            not for this model (see [`check_objectives`]), label smoothing is combined with memory in the vision tower,
            the output folder cannot be used, `args.push_to_hub` is set without `publish` or for a memory-only result
            of a backbone that is not on the Hub, or loss, gradient norm or, in the end, what was trained is NaN or
            infinite (the message names the rows).
        RuntimeError: If the backbone has changed in training.
    """
    check_backbone_is_frozen(model)
    refuse_loss_outside(model, args.label_smoothing_factor)
    check_objectives(model, args, items_in_prompt)
    if compute_metrics is None:
        refuse_unknown_metric(args)
    collator = MemoryCollator(
        processor,
        max_memories=args.max_memories,
        min_memories=args.min_memories,
        shuffle_memories=args.shuffle_memories,
        nested_memory_lengths=args.nested_memory_lengths,
        max_length=args.max_length,
        seed=args.sampling_seed,
        with_teacher=args.distillation_weight > 0,
        with_reconstruction=args.reconstruction_weight > 0,
        with_true_items=args.contrastive_weight > 0,
        items_in_prompt=items_in_prompt,
        to_context=to_context,
        with_names=True,
    )
    dataset, eval_dataset = _as_samples(dataset), _as_samples(eval_dataset)
    check_has_items(model, dataset, items_in_prompt)
    known = [rows.beginning() if isinstance(rows, MemoryStream) else rows for rows in (dataset, eval_dataset)]
    for rows in known:
        check_items(model, rows, items_in_prompt, args.max_memories)
    check_no_shared_entities(*known)
    looked_through = [survey(rows, collator) if isinstance(rows, MemoryDataset) else rows for rows in known]
    dataset, eval_dataset = (
        rows if isinstance(rows, MemoryStream) else usable
        for rows, usable in zip((dataset, eval_dataset), looked_through, strict=True)
    )
    if isinstance(dataset, MemoryStream):
        dataset = dataset.in_blocks(args.per_device_train_batch_size * args.world_size, repeats=True)
    if isinstance(eval_dataset, MemoryStream):
        eval_dataset = eval_dataset.in_blocks(args.per_device_eval_batch_size * args.world_size)
    if args.push_to_hub and publish is None:
        raise ValueError("`push_to_hub` needs `publish`, the function that pushes a model's folder to the Hub.")
    memory_only = is_memory_only(model, memory_only)
    if args.push_to_hub and memory_only:
        refuse_local_backbone(model.config)
    publisher = publish and CheckpointPublisher(publish, processor, memory_only)
    callbacks = list(callbacks or ())
    if args.early_stopping_patience is not None:
        callbacks.append(EarlyStoppingCallback(args.early_stopping_patience, args.early_stopping_threshold))
    logger.info(str(trainable_share(model)))
    backbone_before = bits_of(model.backbone)
    settings = {
        **decisive_settings(args),
        "backbone": _checksum(model, args),
        "memory_encoder_at_start": fingerprint(trainable_parameters(model), roundings=()),
        "trained_parts": trained_parts(model),
        "items_in_prompt": items_in_prompt,
        "data": _describe(dataset),
    }
    size = f", {len(dataset)} rows" if hasattr(dataset, "__len__") else ""
    folder = RunFolder(args.output_dir, settings, f"{getattr(dataset, 'name', 'data set')}{size}")
    with args.main_process_first(local=False, desc="opening the output folder"):
        checkpoint = folder.open()
    if checkpoint is not None:
        logger.warning(f"Going on from {checkpoint}.")

    if args.bf16 or args.fp16:  # mixed precision: trained parameters stay in float32, or small updates would be lost
        for parameter in trainable_parameters(model).values():
            parameter.data = parameter.data.float()
    trainer = MemoryEncoderTrainer(
        model=model,
        args=args,
        data_collator=collator,
        train_dataset=dataset,
        eval_dataset=eval_dataset,
        callbacks=callbacks,
        compute_metrics=compute_metrics,
        publisher=publisher,
    )
    try:
        output = trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        refuse_ruined(model, trainer.loss_of_last_batch(), trainer.accelerator, args.output_dir)
    finally:  # one dtype again, and no autocast around `forward`, or the model could not be used
        trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
        if not is_sharded(model):
            for parameter in trainable_parameters(model).values():
                parameter.data = parameter.data.to(model.backbone.dtype)
    rows = collator.rows
    if rows.num_replaced or isinstance(dataset, MemoryStream) and rows.num_cut:
        logger.warning(
            f"Rows for which another stood in, as damaged or too long: {rows.num_replaced:,}; "
            f"rows cut to `max_length`: {rows.num_cut:,}."
        )
    changed = changed_since(backbone_before, model.backbone)
    if changed:
        raise RuntimeError(
            f"The backbone has changed in training although it was frozen ({len(changed)} tensors, such as "
            f"{changed[0]!r}); the result was not saved."
        )
    model.eval()
    is_main = trainer.is_world_process_zero()
    save_whole(model, args.output_dir, writes=is_main, memory_only=memory_only)
    if is_main:
        processor.save_pretrained(args.output_dir)
        trainer.state.save_to_json(str(folder.path / TRAINER_STATE_NAME))
        folder.finish()
    trainer.accelerator.wait_for_everyone()  # until the result is whole, but not until it is pushed
    if is_main and args.push_to_hub:
        publisher.push_result(folder.path, trainer.hub_model_id)
    return output


def _checksum(model: CoMemForConditionalGeneration, args: MemoryTrainingArguments) -> str | None:
    """Hash the backbone once: in the first process, or in all of them if each has a part of the weights."""

    def compute() -> str | None:
        return backbone_checksum(model.backbone, exact=True)

    return compute() if is_sharded(model) else of_first_process(args, compute)


def _as_samples(rows: Any) -> Any:
    """Open rows of a list or of `datasets`; other data sets of torch are trained on as they are."""
    is_open = isinstance(rows, MemoryDataset | MemoryStream)
    is_table = type(rows).__module__.partition(".")[0] == "datasets"
    return open_training_data(rows) if not is_open and (is_table or isinstance(rows, list | tuple)) else rows


def _describe(dataset: Any) -> str:
    """Identify the data between two calls: by its fingerprint if it has one, else by its length or type."""
    fingerprint = getattr(dataset, "fingerprint", None)
    if (
        isinstance(dataset, MemoryDataset) and dataset.skipped
    ):  # pictures may be missing in one call and not in the other
        return f"{fingerprint}, {len(dataset)} rows"
    return fingerprint or (f"{len(dataset)} rows" if hasattr(dataset, "__len__") else type(dataset).__name__)
