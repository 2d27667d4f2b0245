"""Training of a model's memory on a frozen backbone."""

from collections.abc import Callable
from typing import Any

from torch.utils.data import Dataset
from transformers import TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import EvalPrediction, TrainOutput
from transformers.utils import logging

from comem_hf.modeling import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.modeling.fingerprint_comem import backbone_checksum, fingerprint
from comem_hf.modeling.sharded_weights_comem import is_sharded
from comem_hf.training.data.collator import MemoryCollator
from comem_hf.training.data.items_in_context import items_in_context
from comem_hf.training.data.sample import TrainingSample
from comem_hf.training.objectives.label_smoothing import refuse_loss_outside
from comem_hf.training.parts.freezing import (
    check_backbone_is_frozen,
    is_quantized,
    trainable_parameters,
    trainable_share,
    trained_parts,
)
from comem_hf.training.parts.items import check_items
from comem_hf.training.processes.saving import save_whole

from .arguments import MemoryTrainingArguments
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
) -> TrainOutput:
    """Train what is trainable of a model with transformers' `Trainer`, then save model and processor.

    That is the memory encoder and the memory in feed-forward layers and vision tower, unless [`train_only`] has chosen
    among them. The loss is the cross-entropy of the answers given query and memory, plus the weighted alignment loss
    of memory in the vision tower. The result is saved to `args.output_dir`.
    Called again with the same model, data and settings, an interrupted run continues from its last complete checkpoint
    and ends with the result of an uninterrupted one. In mixed precision what is trained is in float32 and gets the
    dtype of the backbone in the end. With a quantized backbone a memory-only checkpoint is saved.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model, changed in place; only its memory encoder, feed-forward
            and vision memory, and a reader adapter that `add_reader_adapter` has made or `reader="trainable"` has
            loaded, may be trainable.
        processor ([`CoMemProcessor`]): Its processor.
        dataset (`torch.utils.data.Dataset` or `list`): A [`MemoryDataset`], or rows as in [`TrainingSample.from_row`],
            which may hold PIL images and [`MemoryItem`]s.
        args ([`MemoryTrainingArguments`]): The settings.
        eval_dataset (`torch.utils.data.Dataset` or `list`, *optional*): Rows for the evaluation loss, computed as
            `args.eval_strategy` says.
        callbacks (`list[TrainerCallback]`, *optional*): Callbacks for the `Trainer`.
        compute_metrics (`Callable[[EvalPrediction], dict[str, float]]`, *optional*): Function of the logits and labels
            of `eval_dataset`, as in `Trainer`. Without it, evaluation keeps the loss alone.
        to_context (`Callable[[TrainingSample], TrainingSample]`, *optional*, defaults to [`items_in_context`]): The
            function that writes a sample's items into a prompt: the teacher's, with `args.distillation_weight`, or the
            model's own, with `items_in_prompt`.
        items_in_prompt (`bool`, *optional*, defaults to `False`): Write the items of rows into the prompts. A model
            without a memory encoder can be trained on rows with items by this only.

    Returns:
        `TrainOutput`: Steps, mean loss and metrics.

    Raises:
        ValueError: If the backbone is not frozen, the rows have more items than the model takes, label smoothing is
            combined with memory in the vision tower, or the output folder cannot be used.
        RuntimeError: If the backbone has changed in training.
    """
    check_backbone_is_frozen(model)
    reader = model.reader_adapter
    if args.distillation_weight > 0 and reader is not None and any(p.requires_grad for p in reader.parameters()):
        raise ValueError(
            "`distillation_weight` cannot be combined with training the reader: the teacher is the reader itself, "
            "with the items in its prompt; set it to 0, or do not train the reader."
        )
    if args.distillation_weight > 0 and model.reader is not None:
        raise ValueError(
            "`distillation_weight` cannot be combined with a text-only reader: the teacher is the backbone, whose "
            "answers are not the reader's; set it to 0."
        )
    refuse_loss_outside(model, args.label_smoothing_factor)
    for rows in (dataset, eval_dataset):
        check_items(model, rows, items_in_prompt, args.max_memories)
    logger.info(str(trainable_share(model)))
    backbone_before = backbone_checksum(model.backbone, exact=True)
    settings = {
        **decisive_settings(args),
        "backbone": backbone_before,
        "memory_encoder_at_start": fingerprint(trainable_parameters(model), roundings=()),
        "trained_parts": trained_parts(model),
        "items_in_prompt": items_in_prompt,
        "data": _describe(dataset),
    }
    folder = RunFolder(args.output_dir, settings)
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
        data_collator=MemoryCollator(
            processor,
            max_memories=args.max_memories,
            with_teacher=args.distillation_weight > 0,
            items_in_prompt=items_in_prompt,
            to_context=to_context,
        ),
        train_dataset=dataset,
        eval_dataset=eval_dataset,
        callbacks=callbacks,
        compute_metrics=compute_metrics,
    )
    try:
        output = trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    finally:  # one dtype again, and no autocast around `forward`, or the model could not be used
        trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
        if not is_sharded(model):
            for parameter in trainable_parameters(model).values():
                parameter.data = parameter.data.to(model.backbone.dtype)
    if backbone_checksum(model.backbone, exact=True) != backbone_before:
        raise RuntimeError("The backbone has changed in training although it was frozen; the result was not saved.")
    model.eval()
    is_main = trainer.is_world_process_zero()
    save_whole(model, args.output_dir, writes=is_main, memory_only=is_quantized(model))
    if is_main:
        processor.save_pretrained(args.output_dir)
        trainer.state.save_to_json(str(folder.path / TRAINER_STATE_NAME))
        folder.finish()
    trainer.accelerator.wait_for_everyone()  # until the result is whole
    return output


def _describe(dataset: Any) -> str:
    """Identify the data between two calls: by its fingerprint if it has one, else by its length or type."""
    fingerprint = getattr(dataset, "fingerprint", None) or getattr(dataset, "_fingerprint", None)  # ours, `datasets`'
    return fingerprint or (f"{len(dataset)} rows" if hasattr(dataset, "__len__") else type(dataset).__name__)
