"""The block `calibration` of `bank_config.json`: how scores of hits become probabilities."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .closeness import NUM_FEATURES, closeness, distances
from .logistic import logistic


METHOD = "log-distance-ratios"  # another way of the future gets another name
KINDS = ("same", "other", "nothing")
MIN_ITEMS = 8  # with pictures: a fit to fewer would say nothing about others
_DIGITS = 6


@dataclass(frozen=True)
class Calibration:
    """A logistic regression that was fitted to disturbed pictures of the bank's own items.

    Args:
        weights (`tuple[float, ...]`): Intercept and slopes of the two features of [`closeness`].
        floor (`float`): Added to all distances, see [`closeness`].
        num_items (`int`): Items of the bank when it was fitted.
        pictures (`int`): Pictures of items that were searched for.
        nothing (`int`): Pictures of nothing that were searched for.
        brier (`float`): Mean squared error of the probability of first hits, of pictures whose item the bank holds
            and of the same pictures with that item left out, by cross-validation.
        auc (`float`): How often, among those, a hit on the same thing has a higher probability than one on another.
        histograms (`dict`): For `"score"` and `"probability"` of the first hits, also by cross-validation: `"low"`
            and `"high"`, and by kind of hit (`"same"` thing, `"other"` thing, or found by a picture of `"nothing"`)
            the counts in equal parts of that range.
    """

    weights: tuple[float, ...]
    floor: float
    num_items: int
    pictures: int
    nothing: int
    brier: float
    auc: float
    histograms: dict[str, dict[str, Any]]

    def to_block(self) -> dict[str, Any]:
        """Return the JSON block, with numbers rounded to six digits."""
        values = {**asdict(self), "weights": list(self.weights)}
        return _rounded({"method": METHOD, **values})

    @classmethod
    def of_block(cls, block: Mapping[str, Any] | None) -> "Calibration | None":
        """Read the block; `None` if there is none, or if a later version made it in another way.

        Raises:
            ValueError: If the block is damaged.
        """
        if block is None:
            return None
        if not isinstance(block, Mapping) or not isinstance(block.get("method"), str):
            raise ValueError(f"`calibration` must have a 'method', got {block!r}.")
        if block["method"] != METHOD:
            return None
        try:
            names = cls.__dataclass_fields__
            calibration = cls(**{name: block[name] for name in names})
        except (KeyError, TypeError) as error:
            raise ValueError(f"`calibration` must have the entries {', '.join(names)}, got {block!r}.") from error
        calibration._check()
        return calibration

    def probabilities(
        self,
        metric: str,
        scores: np.ndarray,
        rows: np.ndarray,
        near_scores: np.ndarray,
        near_rows: np.ndarray,
        own_distances: np.ndarray,
    ) -> np.ndarray:
        """Return the probability of each hit that it shows the same thing as its query.

        Args:
            metric (`str`): The bank's metric.
            scores, rows (`np.ndarray`): Of the hits, shape (queries, hits).
            near_scores, near_rows (`np.ndarray`): Of the two nearest items of each query in the whole bank, nearest
                first; rows are -1 where there are none.
            own_distances (`np.ndarray`): Distances of the queries from their second views, shape (queries,).

        Returns:
            `np.ndarray`: Float64 of shape (queries, hits); NaN where there is no hit, or no other item.
        """
        near = distances(near_scores, metric)
        features = closeness(distances(scores, metric), rows, near, near_rows, own_distances, self.floor)
        return np.where(rows >= 0, logistic(features, np.asarray(self.weights)), np.nan)

    def _check(self) -> None:
        numbers = [*self.weights, self.floor, self.brier, self.auc] if isinstance(self.weights, (list, tuple)) else []
        if len(numbers) != NUM_FEATURES + 4 or not all(map(_is_number, numbers)) or self.floor <= 0:
            raise ValueError(
                f"`calibration` must have {NUM_FEATURES + 1} finite `weights` and a positive `floor`, got "
                f"{self.weights!r} and {self.floor!r}."
            )
        counts = [self.num_items, self.pictures, self.nothing]
        if not all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts):
            raise ValueError(f"`calibration` must count items and pictures, got {counts!r}.")
        for name in ("score", "probability"):
            entries = self.histograms.get(name) if isinstance(self.histograms, dict) else None
            if not isinstance(entries, dict) or not all(isinstance(entries.get(kind), list) for kind in KINDS):
                raise ValueError(f"`calibration` must have a histogram of each {name}, got {entries!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _rounded(value: Any) -> Any:
    """The same JSON with numbers of six digits: more of them mean nothing, and differ between machines."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return value
