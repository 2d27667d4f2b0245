"""Bootstrap confidence intervals of benchmark numbers, and of their differences on the same questions.

Questions are resampled *within* each group of a scorer, so that a resample has as many questions of each group as the
benchmark: its authors have fixed the sizes of its splits, and only the questions in a split are a sample (several
samples: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.2). Resampling over all
questions would also leave a small split empty now and then; a harmonic mean of two splits (InfoSeek, OVEN) is then 0
or undefined, although the benchmark has no such set of questions.

Intervals are the percentiles of the resampled numbers (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13). All ways are measured on the same resamples, so that a difference between two of them is paired (Koehn,
"Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004). What such an interval cannot say: if
all answers of a group score the same, it has no width there, however few they are.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .scores import LEFT_OUT, Groups


RESAMPLES = 2000
LEVEL = 0.95
SEED = 0
_DRAWS_AT_A_TIME = 4_000_000  # 32 MB of question numbers


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of the number.

    Args:
        low (`float`): Its lower end.
        high (`float`): Its upper end.
    """

    low: float
    high: float

    @classmethod
    def of(cls, resampled: np.ndarray, level: float = LEVEL) -> "Interval":
        """Return the percentiles of resampled numbers that leave out the same share, `(1 - level) / 2`, on each side.

        Args:
            resampled (`np.ndarray`): The numbers; shape `(resamples,)`.
            level (`float`, *optional*, defaults to 0.95): Share of the numbers that lie inside.
        """
        low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
        return cls(float(low), float(high))


def resample_means(values: np.ndarray, groups: Groups, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Resample the questions of each group with replacement, and return the means of each resample.

    Args:
        values (`np.ndarray`): Scores of the same questions in several ways; shape `(ways, questions)`.
        groups (`Groups`): The groups of the questions.
        resamples (`int`, *optional*, defaults to 2000): Number of resamples.
        seed (`int`, *optional*, defaults to 0): Seed of the draws, which depend on nothing else but the sizes of the
            groups: ways that are added later are measured on the same resamples.

    Returns:
        `np.ndarray`: Mean of each group in each resample; shape `(resamples, groups, ways)`. The last bits, in which
        linear algebra libraries differ, are rounded off.
    """
    generator = np.random.default_rng(seed)
    parts = [values[:, groups.members == number].T for number in range(len(groups))]
    means = np.empty((resamples, len(groups), len(values)))
    at_a_time = max(1, _DRAWS_AT_A_TIME // int((groups.members != LEFT_OUT).sum()))
    for start in range(0, resamples, at_a_time):
        count = min(at_a_time, resamples - start)
        for number, part in enumerate(parts):
            means[start : start + count, number] = _counts(generator, count, len(part)) @ part / len(part)
    return means.round(12)


def _counts(generator: np.random.Generator, resamples: int, size: int) -> np.ndarray:
    """Draw how often each of `size` questions is in each resample: a multinomial draw, shape `(resamples, size)`."""
    drawn = generator.integers(size, size=(resamples, size))
    drawn += size * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size).astype(np.float64)


def resample_headlines(
    means: np.ndarray, names: tuple[str, ...], headline: Callable[[Mapping[str, float]], float]
) -> np.ndarray:
    """Return a scorer's number for each resample and way.

    Args:
        means (`np.ndarray`): What [`resample_means`] gave; shape `(resamples, groups, ways)`.
        names (`tuple[str, ...]`): Names of the groups.
        headline (`Callable[[Mapping[str, float]], float]`): The scorer's number from the means of its groups.

    Returns:
        `np.ndarray`: Shape `(resamples, ways)`, 0 to 100.
    """
    return np.array([list(_headlines(resample, names, headline)) for resample in means.transpose(0, 2, 1).tolist()])


def _headlines(resample: list[list[float]], names: tuple[str, ...], headline: Callable) -> Iterator[float]:
    for way in resample:
        yield headline(dict(zip(names, way, strict=True)))
