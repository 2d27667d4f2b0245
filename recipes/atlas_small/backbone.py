"""Train the atlas-small backbone from scratch: to look at flags, to read items and to answer."""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import EvalPrediction, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from comem_hf.training.optimizer import MuonWithAdamW
from recipes.atlas_small.data.countries import Country
from recipes.atlas_small.data.invention import Inventor
from recipes.atlas_small.data.pictures import load_motifs, make_pictures
from recipes.atlas_small.data.samples import SampleMaker

from .architecture import new_backbone, new_processor
from .reading import IGNORED, ReadingCollator, SampleDataset
from .tokenizer import train_tokenizer


BATCH_SIZE = 32
STEPS = 1000
DECAY_STEPS = 350
SINGLE_ITEM_STEPS = 400
VALIDATION_SEED = 1_000_003
TOKENIZER_SAMPLES = 20_000


def exact_answers(prediction: EvalPrediction) -> dict[str, float]:
    """Compute the share of answers that greedy decoding would give exactly.

    Every token of such an answer is the most likely one, given the answer so far.
    """
    labels, predicted = prediction.label_ids[:, 1:], prediction.predictions[:, :-1]
    right = total = 0
    for label_row, predicted_row in zip(labels, predicted, strict=True):
        supervised = np.flatnonzero(label_row != IGNORED)
        for span in np.split(supervised, np.flatnonzero(np.diff(supervised) > 1) + 1):
            total += 1
            right += bool((label_row[span] == predicted_row[span]).all())
    return {"exact_match": right / max(total, 1)}


class BackboneTrainer(Trainer):
    """A `Trainer` that can resume a Qwen2-VL.

    `save_pretrained` writes the key names of transformers 4, which only `from_pretrained` translates back; the
    `Trainer` of transformers 5 loads a checkpoint by the names it finds and would go on from random weights.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        model = model if model is not None else self.model
        loaded = type(model).from_pretrained(resume_from_checkpoint)
        model.load_state_dict(loaded.state_dict())


def train_backbone(work: Path, train: list[Country], inventor: Inventor, flags: Path, *, seed: int = 0) -> Path:
    """Train the backbone, or go on from its last checkpoint, and write it with its processor to `work / "backbone"`.

    Args:
        work (`Path`): Folder of all stages; pictures and checkpoints go there too.
        train (`list[Country]`): Countries whose flags may be used.
        inventor (`Inventor`): Source of facts.
        flags (`Path`): Folder of flags.
        seed (`int`, *optional*, defaults to `0`): Seed of weights and samples.

    Returns:
        `Path`: The folder, which a plain `Qwen2VLForConditionalGeneration.from_pretrained` loads.
    """
    result = work / "backbone"
    if (result / "training_log.json").is_file():
        return result
    set_seed(seed)
    make_pictures(work / "pictures", train, flags, seed)
    motifs = load_motifs(work / "pictures")
    maker = SampleMaker(inventor, motifs, single_until=SINGLE_ITEM_STEPS * BATCH_SIZE, partial=0.4, seed=seed)
    validation = SampleMaker(inventor, motifs, seed=VALIDATION_SEED)
    tokenizer = train_tokenizer(text for index in range(TOKENIZER_SAMPLES) for text in maker(index).texts())
    processor = new_processor(tokenizer)
    model = new_backbone(tokenizer)
    model.set_attn_implementation("eager")  # on a CPU, 1.4 times as fast as sdpa

    optimizer = MuonWithAdamW(model, inside=("layers.", "blocks."), lr=2e-3, muon_lr=1e-2, weight_decay=0.3)

    checkpoints = work / "backbone-checkpoints"
    trainer = BackboneTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=checkpoints,
            max_steps=STEPS,
            per_device_train_batch_size=BATCH_SIZE,
            per_device_eval_batch_size=BATCH_SIZE,
            train_sampling_strategy="sequential",
            lr_scheduler_type="warmup_stable_decay",
            warmup_steps=60,
            lr_scheduler_kwargs={"num_decay_steps": DECAY_STEPS, "min_lr_ratio": 0.02},
            max_grad_norm=1.0,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            logging_steps=25,
            eval_strategy="steps",
            eval_steps=200,
            save_steps=100,
            save_total_limit=2,
            remove_unused_columns=False,
            label_names=["labels"],
            report_to=[],
            seed=seed,
        ),
        data_collator=ReadingCollator(tokenizer, processor.image_processor, motifs, work / "pictures"),
        train_dataset=SampleDataset(maker, STEPS * BATCH_SIZE),
        eval_dataset=SampleDataset(validation, 128),
        compute_metrics=exact_answers,
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1),
        optimizers=(optimizer, None),
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(checkpoints) if checkpoints.is_dir() else None)

    model.save_pretrained(result)
    processor.save_pretrained(result)
    (result / "training_log.json").write_text(json.dumps(trainer.state.log_history, indent=1))
    return result
