"""The settings of a comparison, and the places of what it leaves."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .rows import Row


@dataclass(frozen=True)
class Run:
    """Settings that all rows share.

    A training's folder is named after what decides its result, so that a comparison with other settings, another
    backbone or other data leaves finished ones alone.

    Args:
        work (`Path`): Folder of all stages.
        steps (`int`, *optional*, defaults to 250): Updates of each training.
        batch_size (`int`, *optional*, defaults to 32): Samples per update.
        given_backbone (`Path`, *optional*): Folder of a backbone and its processor; by default the embedded
            default's.
        num_questions (`int`, *optional*): Number of held-out questions; all by default.
    """

    work: Path
    steps: int = 250
    batch_size: int = 32
    given_backbone: Path | None = None
    num_questions: int | None = None

    @property
    def pictures(self) -> Path:
        return self.work / "pictures"

    @property
    def backbone(self) -> Path:
        return self.given_backbone or self.work / "backbone"

    @property
    def rows(self) -> Path:
        return self.work / f"recall-{self.steps}x{self.batch_size}.jsonl"

    @property
    def told(self) -> Path:
        """File of the items whose facts the resamplers' queries look for at the start."""
        return self.work / "told.json"

    @property
    def orders(self) -> Path:
        return self.work / f"orders-{self.num_questions or 'all'}.json"

    @property
    def references(self) -> Path:
        """File of what the backbone answers without training."""
        return self.work / f"references-{self._digest(self.of_backbone)}-{self.num_questions or 'all'}.json"

    @cached_property
    def of_backbone(self) -> str:
        """Checksum of the backbone's files."""
        return self._checksum(sorted(self.backbone.glob("*.safetensors")))

    @cached_property
    def of_data(self) -> str:
        """Checksum of the training rows."""
        return self._checksum([self.rows])

    def folder(self, row: Row, seed: int) -> Path:
        """Return the folder of a training: its settings, model and result."""
        return self.work / "runs" / f"{row.key}-{self._digest(self.settings(row, seed))}-seed-{seed}"

    def settings(self, row: Row, seed: int) -> dict[str, Any]:
        """Return all that decides the result of a training."""
        own = {"steps": self.steps, "batch_size": self.batch_size, "seed": seed}
        return {**row.settings(), **own, "backbone": self.of_backbone, "data": self.of_data}

    @staticmethod
    def _digest(settings: Any) -> str:
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]

    @staticmethod
    def _checksum(files: list[Path]) -> str:
        digest = hashlib.sha256()
        for file in files:
            digest.update(file.read_bytes())
        return digest.hexdigest()
