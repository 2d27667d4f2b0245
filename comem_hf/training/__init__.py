"""Training of memory encoders with transformers' `Trainer`."""

from .arguments import MemoryTrainingArguments
from .collator import MemoryCollator
from .context import items_in_context
from .dataset import MemoryDataset
from .freezing import TrainableShare, trainable_share
from .sample import TrainingSample
from .train import train_memory_encoder
from .trainer import MemoryEncoderTrainer


__all__ = [
    "MemoryCollator",
    "MemoryDataset",
    "MemoryEncoderTrainer",
    "MemoryTrainingArguments",
    "TrainableShare",
    "TrainingSample",
    "items_in_context",
    "train_memory_encoder",
    "trainable_share",
]
