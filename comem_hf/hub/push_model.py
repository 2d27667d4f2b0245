"""Push of a model's folder to a repository of the Hub, in one commit."""

import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from comem_hf.cards.benchmarks import BENCHMARKS_NAME, BenchmarkResults
from comem_hf.cards.check import read_card
from comem_hf.cards.model_card import card_to_publish
from comem_hf.cards.results import RESULTS_NAME, Results
from comem_hf.cards.template import CARD_NAME
from comem_hf.repository.errors import plain_errors
from comem_hf.repository.push_target import PushTarget

from .checkpoint import Checkpoint


# Files that are pushed as they are, if the folder has them. Others are not: training checkpoints, notes, secrets.
COMPANIONS = (
    "generation_config.json",
    "conversion.json",
    RESULTS_NAME,
    BENCHMARKS_NAME,
    "training_settings.json",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "NOTICE",
)
# What `comem evaluate` wrote, and the argument of a card that it becomes.
_MEASURED = ((RESULTS_NAME, "results", Results), (BENCHMARKS_NAME, "benchmarks", BenchmarkResults))
_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")


class ModelPublisher:
    """Publisher of the full or memory-only checkpoint in a folder, pushed as it is, without loading it.

    One commit holds weights, configuration, processor, the source files that load them, and the card: the folder's own
    `README.md` or the repository's if somebody has written or edited it, else a generated one. Readers see either the
    previous state or the whole commit. Files that the repository has are not sent again, so that an interrupted push
    continues when it is called again. Weights of an earlier push under other names are deleted, and so are results of
    other weights; other files stay.

    Args:
        folder (`Path`): Folder of the model.

    Raises:
        ValueError: If the folder holds no CoMEM model, the model is incomplete, or it is memory-only and names no
            repository as its backbone.
    """

    def __init__(self, folder: Path):
        from comem_hf.modeling.local_paths_comem import refuse_local_backbone

        self.checkpoint = Checkpoint.open(folder)
        if self.checkpoint.config.memory_only:
            refuse_local_backbone(self.checkpoint.config)
        self.checkpoint.check()
        self.has_processor = any((folder / name).is_file() for name in _PROCESSOR_FILES)
        self.memory_fingerprint = self.checkpoint.memory_fingerprint()

    def push(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        create_pr: bool = False,
        token: str | bool | None = None,
        results: Path | None = None,
        **card: Any,
    ):
        """Push the model.

        Args:
            repo_id (`str`): Id of the repository, made if it does not exist.
            private (`bool`, *optional*): Whether a new repository is private; if not given, its owner's default.
            revision (`str`, *optional*): Branch to push to, made if it does not exist; defaults to the main one.
            commit_message (`str`, *optional*): First line of the commit.
            create_pr (`bool`, *optional*, defaults to `False`): Whether to open a pull request instead.
            token (`str` or `bool`, *optional*): Token of a user who may write there; defaults to the stored one.
            results (`Path`, *optional*): File that `comem evaluate --output` wrote, instead of `evaluation.json` in
                the folder.
            card: Further contents of the card; see [`render_model_card`].

        Returns:
            `huggingface_hub.CommitInfo`: The commit; where nothing has changed, the latest one.

        Raises:
            ValueError: If the Hub would refuse the card, or `private` is given and the repository is public; nothing
                has been uploaded.
            OSError: If the repository cannot be written.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        with (
            tempfile.TemporaryDirectory() as temporary,
            plain_errors(repo_id, revision, repo_type="model", writing=True),
        ):
            staging = Path(temporary)
            self._stage(staging)
            if results is not None:
                card["results"] = Results.load(results)
                (staging / RESULTS_NAME).write_bytes(results.read_bytes())
            self._write_card(staging, repo_id, None, card)  # if the card is refused, no repository is made
            target = PushTarget(repo_id, "model", private=private, revision=revision, create_pr=create_pr, token=token)
            stale = [name for name in target.present if _WEIGHTS.fullmatch(name)]
            published = read_card(target.download(CARD_NAME)) if CARD_NAME in target.present else None
            for name, argument, kind in _MEASURED:
                if name in target.present and not (staging / name).exists():
                    with suppress(ValueError):  # another file of that name, not written by `comem evaluate`
                        measured = kind.load(target.download(name))
                        if self.memory_fingerprint in (None, measured.memory_fingerprint):
                            card[argument] = measured
                        else:
                            stale.append(name)
            self._write_card(staging, target.address["repo_id"], published, card)
            files = {path.relative_to(staging).as_posix(): path for path in staging.rglob("*") if path.is_file()}
            files |= {name: self.checkpoint.folder / name for name in self.checkpoint.weight_files}
            operations = [
                *(CommitOperationAdd(name, str(path)) for name, path in sorted(files.items())),
                *(CommitOperationDelete(name) for name in stale if name not in files),
            ]
            return target.commit(operations, commit_message or "Push a CoMEM model")

    def _stage(self, staging: Path) -> None:
        """Write everything but weights and card, as `save_pretrained` would."""
        from transformers.dynamic_module_utils import custom_object_save

        from comem_hf.modeling import CoMemForConditionalGeneration, CoMemProcessor
        from comem_hf.modeling.local_paths_comem import without_local_paths
        from comem_hf.modeling.remote_code_comem import enter_remote_code

        folder = self.checkpoint.folder
        config = without_local_paths(self.checkpoint.config, keep_backbone=self.checkpoint.config.memory_only)
        enter_remote_code(config, CoMemForConditionalGeneration)
        config.memory_fingerprint = self.memory_fingerprint
        config.save_pretrained(staging)
        custom_object_save(CoMemForConditionalGeneration, staging)  # its source files
        if self.has_processor:
            CoMemProcessor.from_pretrained(folder).save_pretrained(staging)
        for name in COMPANIONS:
            if (folder / name).is_file():
                (staging / name).write_bytes((folder / name).read_bytes())

    def _write_card(self, staging: Path, repo_id: str, published: str | None, card: Mapping[str, Any]) -> None:
        folder = self.checkpoint.folder
        facts = {"memory_fingerprint": self.memory_fingerprint, "has_processor": self.has_processor}
        text = card_to_publish(
            read_card(folder / CARD_NAME), published, folder=folder, repo_id=repo_id, **facts, **card
        )
        (staging / CARD_NAME).write_text(text, encoding="utf-8")
