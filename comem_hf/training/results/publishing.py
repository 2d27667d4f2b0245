"""Pushes of a model in training, each of which can be loaded."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import upload_folder
from huggingface_hub.errors import HTTPError
from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy
from transformers.utils import logging

from comem_hf.modeling import CoMemForConditionalGeneration, CoMemProcessor

from .model_folder import write_model_folder


logger = logging.get_logger(__name__)

Publish = Callable[[Path, str, str], Any]
"""A function that pushes a model's folder: of the folder, the repository's id and the commit's first line."""


class CheckpointPublisher:
    """Publisher of models in training.

    transformers' `Trainer` would push what lies in a checkpoint, which is only what is trained and cannot be loaded.
    Here each push is a whole folder of a model, full or memory-only; with the strategy `"checkpoint"` or
    `"all_checkpoints"`, the checkpoint goes along in a folder of its own, so that the run can be continued elsewhere.

    Args:
        publish (`Callable`): The function that pushes a folder.
        processor ([`CoMemProcessor`]): The model's processor.
        memory_only (`bool`): Whether the backbone is left out.
    """

    def __init__(self, publish: Publish, processor: CoMemProcessor, memory_only: bool):
        self.publish = publish
        self.processor = processor
        self.memory_only = memory_only

    def push_checkpoint(
        self, model: CoMemForConditionalGeneration, repo_id: str, checkpoint: Path, args: TrainingArguments
    ) -> None:
        """Push a model as it is now. If that fails the training goes on, and a warning is logged.

        Args:
            model ([`CoMemForConditionalGeneration`]): The model.
            repo_id (`str`): Id of the repository.
            checkpoint (`Path`): Its checkpoint.
            args (`TrainingArguments`): The settings of the run.
        """
        message = f"Training in progress, {checkpoint.name}"
        try:
            with tempfile.TemporaryDirectory() as folder:
                write_model_folder(model, self.processor, folder, self.memory_only)
                self.publish(Path(folder), repo_id, message)
            if args.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
                last = args.hub_strategy == HubStrategy.CHECKPOINT
                upload_folder(
                    repo_id=repo_id,
                    folder_path=checkpoint,
                    path_in_repo="last-checkpoint" if last else checkpoint.name,
                    commit_message=message,
                    token=args.hub_token,
                    revision=args.hub_revision,
                )
        except (OSError, ValueError, HTTPError) as error:  # a long run must not end by a bad connection
            logger.warning(f"{checkpoint} was not pushed, and the training goes on: {error}")

    def push_result(self, folder: Path, repo_id: str) -> None:
        """Push the folder of the trained model.

        Args:
            folder (`Path`): The folder.
            repo_id (`str`): Id of the repository.

        Raises:
            OSError: If it cannot be pushed.
        """
        self.publish(folder, repo_id, "End of training")
