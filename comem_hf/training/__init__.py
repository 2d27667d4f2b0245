"""Training of memory encoders with transformers' `Trainer`."""

from comem_hf.training.batches.collator import MemoryCollator
from comem_hf.training.checks.entities import check_no_shared_entities
from comem_hf.training.data.dataset import MemoryDataset
from comem_hf.training.data.items_in_context import items_in_context
from comem_hf.training.data.open import open_training_data
from comem_hf.training.data.sample import TrainingSample
from comem_hf.training.data.stream import MemoryStream
from comem_hf.training.parts.freezing import TrainableShare, train_only, trainable_share
from comem_hf.training.watching.loss_curve import LossCurve

from .arguments import MemoryTrainingArguments
from .train import train_memory_encoder
from .trainer import MemoryEncoderTrainer


__all__ = [
    "LossCurve",
    "MemoryCollator",
    "MemoryDataset",
    "MemoryEncoderTrainer",
    "MemoryStream",
    "MemoryTrainingArguments",
    "TrainableShare",
    "TrainingSample",
    "check_no_shared_entities",
    "items_in_context",
    "open_training_data",
    "train_memory_encoder",
    "train_only",
    "trainable_share",
]
