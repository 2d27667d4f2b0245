"""The settings of a run, and the places of what it leaves."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .ways import Way


@dataclass(frozen=True)
class Run:
    """Settings that all trained ways share.

    Folders are named after the settings that decide what is in them, so that a run with other settings leaves the
    finished ones alone.

    Args:
        work (`Path`): Folder of all stages.
        steps (`int`, *optional*, defaults to 200): Updates of each trained way.
        batch_size (`int`, *optional*, defaults to 32): Samples per update.
        seed (`int`, *optional*, defaults to 1): Seed of samples, new weights and dropout.
    """

    work: Path
    steps: int = 200
    batch_size: int = 32
    seed: int = 1

    @property
    def pictures(self) -> Path:
        return self.work / "pictures"

    @property
    def backbone(self) -> Path:
        return self.work / "backbone"

    @property
    def rows(self) -> Path:
        return self.work / f"rows-{self.steps}x{self.batch_size}-seed-{self.seed}.jsonl"

    def fingerprint(self, way: Way) -> str:
        """Return a short digest of all settings that decide what is trained."""
        own = {"steps": self.steps, "batch_size": self.batch_size, "seed": self.seed}
        return _digest(way.settings() | own)

    def folder(self, way: Way) -> Path:
        """Return the folder of a way: the trained model, and its scores."""
        return self.work / "ways" / f"{way.key}-{self.fingerprint(way)}"

    def model(self, way: Way) -> Path:
        """Return the folder of a way's trained model."""
        return self.folder(way) / "model"

    def times(self, ways: list[Way], repetitions: int) -> Path:
        """Return the file of times that are measured in turns."""
        return self.work / f"times-{_digest([repetitions, *(self.folder(way).name for way in ways)])}.json"


def _digest(settings: Any) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
