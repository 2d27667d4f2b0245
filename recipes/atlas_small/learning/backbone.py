"""Train the text model of atlas-small from scratch: to compare pictures, to read items and to answer."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen2VLForConditionalGeneration, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from comem_hf import CoMemProcessor
from comem_hf.training.optimizer import MuonWithAdamW
from recipes.atlas_small.architecture import new_backbone, new_processor
from recipes.atlas_small.comparing import Hold, held_parts
from recipes.atlas_small.data.samples.pictures import Motif, load_motifs, make_pictures
from recipes.atlas_small.data.samples.recall import Course, RecallMaker
from recipes.atlas_small.data.samples.samples import SampleMaker
from recipes.atlas_small.data.shared.drawings import Drawings
from recipes.atlas_small.data.shared.topic import FactMaker
from recipes.atlas_small.tokenizer import train_tokenizer

from .eyes import Eyes, load_patches, look_alikes, train_eyes
from .reading import IGNORED, ReadingCollator, SampleDataset


BATCH_SIZE = 16
FULL = {"turns": 6, "alike": 0.4, "follow": 0.15, "look": 0.04, "repeat": 0.03, "mixed": 0.25}
COURSES = (  # numbers of steps, and what their samples are
    (80, Course(items=(1, 2, 3, 4), facts=(1,), turns=6)),
    (120, Course(items=(1, 2, 3), facts=(1, 2, 3, 6), turns=6, alike=0.2, follow=0.1)),
    (600, Course(items=(1, 2, 3, 3, 4), facts=(1, 3, 6, 6), **FULL)),
    (1200, Course(items=(1, 2, 3, 3, 4, 10), facts=(1, 3, 6, 6), **FULL)),
)
DECAY = 0.3  # share of the steps
VALIDATION, VALIDATION_SEED = Course(items=(3,), turns=3, alike=0.5, mixed=0.25), 1_000_003
TOKENIZER_SAMPLES = 20_000  # of each topic
LOOK_ALIKES = 16


class BackboneTrainer(Trainer):
    """A `Trainer` of the text model, which gets the pictures as tokens that the frozen vision tower made once.

    Args:
        tokens (`torch.Tensor` of shape `(pictures, hidden)`): The tokens of all pictures.
        kwargs: Other arguments of `Trainer`.
    """

    def __init__(self, tokens: torch.Tensor, **kwargs):
        super().__init__(**kwargs)
        self.tokens = tokens

    def answer_logits(self, model: nn.Module, inputs: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits and the labels (answer tokens) where answers are."""
        text, mask = model.model.language_model, inputs["attention_mask"]
        embeds = text.embed_tokens(inputs["input_ids"])
        is_picture = (inputs["input_ids"] == model.config.image_token_id).unsqueeze(-1)
        embeds = embeds.masked_scatter(is_picture, self.tokens[inputs["pictures"]])
        positions = (mask.cumsum(-1) - 1).clamp(min=0).expand(3, -1, -1)  # a picture is one token: no position apart
        states = text(inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=False)[0]
        labels = functional.pad(inputs["labels"][:, 1:], (0, 1), value=IGNORED)
        return model.lm_head(states[labels != IGNORED]), labels[labels != IGNORED]

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        logits, labels = self.answer_logits(model, inputs)
        loss = functional.cross_entropy(logits.float(), labels)
        return (loss, {"logits": logits}) if return_outputs else loss

    @torch.no_grad()
    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        logits, labels = self.answer_logits(model, self._prepare_inputs(inputs))
        right = (logits.argmax(-1) == labels).float()
        # An answer is a row of tokens; if each is the most likely one, greedy decoding would give it.
        mask = functional.pad(inputs["labels"][:, 1:], (0, 1), value=IGNORED) != IGNORED
        begins = mask & ~functional.pad(mask[:, :-1], (1, 0), value=False)
        answer = begins.flatten().cumsum(0)[mask.flatten()] - 1
        whole = torch.ones(int(begins.sum())).scatter_reduce(0, answer, right, "amin")
        return functional.cross_entropy(logits.float(), labels), whole, torch.ones_like(whole)

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        # `save_pretrained` writes the key names of transformers 4, which only `from_pretrained` translates back; the
        # `Trainer` of transformers 5 loads a checkpoint by the names it finds and would go on from random weights.
        model = model if model is not None else self.model
        loaded = type(model).from_pretrained(resume_from_checkpoint)
        model.load_state_dict(loaded.state_dict())


def exact_answers(prediction) -> dict[str, float]:
    """Compute the share of answers that greedy decoding would give exactly."""
    return {"exact_match": float(prediction.predictions.mean())}


def tokenizer_texts(inventors: Sequence[FactMaker], motifs: list[Motif], seed: int = 0) -> Iterator[str]:
    """Give the texts that the tokenizer learns from."""
    for inventor in inventors:
        own = [motif for motif in motifs if motif.topic == inventor.topic.name]
        maker = SampleMaker(inventor, own, partial=0.4, seed=seed)
        for index in range(TOKENIZER_SAMPLES):
            yield from maker(index).texts()


def see(work: Path, inventors: Sequence[FactMaker], drawings: Sequence[Drawings], seed: int = 0) -> Path:
    """Draw the pictures, train tokenizer and vision tower, keep the pictures' tokens, all in `work / "seeing"`."""
    result = work / "seeing"
    if (result / "tokens.pt").is_file():
        return result
    set_seed(seed)
    make_pictures(work / "pictures", drawings, seed)
    motifs = load_motifs(work / "pictures")
    tokenizer = train_tokenizer(tokenizer_texts(inventors, motifs, seed))
    processor, model = new_processor(tokenizer), new_backbone(tokenizer)
    files = [work / "pictures" / name for motif in motifs for name in motif.files]
    patches = load_patches(files, processor.image_processor)
    centre = model.get_input_embeddings().weight[model.config.image_token_id].detach()
    train_eyes(model.model.visual, patches, motifs, centre, seed=seed)
    model.save_pretrained(result)
    processor.save_pretrained(result)
    torch.save(Eyes(model.model.visual).read(patches), result / "tokens.pt")
    return result


def motifs_alike(seeing: Path, motifs: list[Motif]) -> torch.Tensor:
    """Return the motifs (motifs, `LOOK_ALIKES`) whose pictures are most like each one's, to the vision tower."""
    tokens, starts = torch.load(seeing / "tokens.pt", weights_only=True), [0]
    for motif in motifs[:-1]:
        starts.append(starts[-1] + len(motif.files))
    return look_alikes(tokens[starts], LOOK_ALIKES)


def train_backbone(work: Path, inventors: Sequence[FactMaker], drawings: Sequence[Drawings], *, seed: int = 0) -> Path:
    """Train the backbone, or go on from its last checkpoint, and write it with its processor to `work / "backbone"`.

    Args:
        work (`Path`): Folder of all stages; pictures and checkpoints go there too.
        inventors (`Sequence[FactMaker]`): Sources of facts, one for each topic.
        drawings (`Sequence[Drawings]`): What is drawn of each topic.
        seed (`int`, *optional*, defaults to `0`): Seed of weights and samples.

    Returns:
        `Path`: The folder, which a plain `Qwen2VLForConditionalGeneration.from_pretrained` loads.
    """
    result = work / "backbone"
    if (result / "training_log.json").is_file():
        return result
    seeing = see(work, inventors, drawings, seed)
    tokens = torch.load(seeing / "tokens.pt", weights_only=True)
    motifs = load_motifs(work / "pictures")
    files = [name for motif in motifs for name in motif.files]
    near = motifs_alike(seeing, motifs)
    processor = CoMemProcessor.from_pretrained(seeing)
    set_seed(seed)
    model = Qwen2VLForConditionalGeneration.from_pretrained(seeing)
    model.set_attn_implementation("eager")  # on a CPU, 1.4 times as fast as sdpa
    model.model.visual.requires_grad_(False)

    courses = [replace(course, samples=steps * BATCH_SIZE) for steps, course in COURSES]
    steps = sum(steps for steps, _ in COURSES)
    optimizer = MuonWithAdamW(model, inside=("layers.",), lr=2e-3, muon_lr=1e-2, weight_decay=0.05)
    checkpoints = work / "backbone-checkpoints"
    trainer = BackboneTrainer(
        tokens,
        model=model,
        args=TrainingArguments(
            output_dir=checkpoints,
            max_steps=steps,
            per_device_train_batch_size=BATCH_SIZE,
            per_device_eval_batch_size=BATCH_SIZE,
            train_sampling_strategy="sequential",
            lr_scheduler_type="warmup_stable_decay",
            warmup_steps=30,
            lr_scheduler_kwargs={"num_decay_steps": int(DECAY * steps), "min_lr_ratio": 0.02},
            max_grad_norm=1.0,
            use_cpu=not torch.cuda.is_available(),
            logging_steps=20,
            eval_strategy="steps",
            eval_steps=100,
            save_steps=50,
            save_total_limit=2,
            remove_unused_columns=False,
            label_names=["labels"],
            report_to=[],
            seed=seed,
        ),
        data_collator=ReadingCollator(processor.tokenizer, files),
        train_dataset=SampleDataset(RecallMaker(inventors, motifs, courses, near, seed), steps * BATCH_SIZE),
        eval_dataset=SampleDataset(RecallMaker(inventors, motifs, [VALIDATION], near, VALIDATION_SEED), 96),
        compute_metrics=exact_answers,
        optimizers=(optimizer, None),
        callbacks=[Hold(held_parts(model))],
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(checkpoints) if checkpoints.is_dir() else None)

    model.save_pretrained(result)
    processor.save_pretrained(result)
    (result / "training_log.json").write_text(json.dumps(trainer.state.log_history, indent=1))
    return result
