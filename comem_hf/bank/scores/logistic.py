"""Logistic regression for a handful of features, whose slopes must not be negative."""

import numpy as np


# Of the slopes, on features of standard deviation 1. Gelman et al., "A weakly informative default prior distribution
# for logistic and other regression models" (Annals of Applied Statistics 2008), use a wider tail on the same scale.
PRIOR_VARIANCE = 10.0
_STEPS = 100
_LONGEST_STEP = 2.0
_CONVERGED = 1e-9


def fit_logistic(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Fit probabilities to labels by Newton's method (iteratively reweighted least squares).

    The slopes have a normal prior, and labels are replaced by Platt's targets, (positives + 1) / (positives + 2) and
    1 / (negatives + 2) ("Probabilistic outputs for support vector machines", 1999): so classes that can be told apart
    completely get no probability of 0 or 1. A feature whose slope would be negative is left out.

    Args:
        features (`np.ndarray`): Shape (samples, features); more of each must mean a higher probability.
        labels (`np.ndarray`): Bool, shape (samples,).

    Returns:
        `np.ndarray`: Float64 of shape (1 + features,): the intercept and the slope of each feature, 0 for those left
        out.

    Raises:
        ValueError: If there are no samples of one of the classes.
    """
    positives, negatives = int(np.count_nonzero(labels)), int(np.count_nonzero(~labels))
    if not positives or not negatives:
        raise ValueError(f"A fit needs samples of both classes, got {positives} true and {negatives} false ones.")
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = features.mean(axis=0), features.std(axis=0)
    used = spread > 0
    while True:
        scaled = (features[:, used] - centre[used]) / spread[used]
        weights = _newton(np.column_stack([np.ones(len(features)), scaled]), targets)
        worst = int(np.argmin(weights[1:])) if used.any() else 0
        if not used.any() or weights[1:][worst] >= 0:
            break
        used[np.flatnonzero(used)[worst]] = False
    slopes = np.zeros(features.shape[1])
    slopes[used] = weights[1:] / spread[used]
    return np.array([weights[0] - slopes @ centre, *slopes])


def logistic(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probabilities that weights of [`fit_logistic`] give, shape (...,) for features (..., features)."""
    return 1 / (1 + np.exp(-np.clip(weights[0] + features @ weights[1:], -500, 500)))


def _newton(design: np.ndarray, targets: np.ndarray) -> np.ndarray:
    weights = np.zeros(design.shape[1])
    precision = np.full(design.shape[1], 1 / PRIOR_VARIANCE)
    precision[0] = 0  # the intercept has no prior
    for _ in range(_STEPS):
        found = logistic(design[:, 1:], weights)
        gradient = design.T @ (found - targets) + precision * weights
        curvature = (design.T * (found * (1 - found))) @ design + np.diag(precision)
        curvature[0, 0] += 1e-9  # where all are certain
        step = np.linalg.solve(curvature, gradient)
        weights -= np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < _CONVERGED:
            break
    return weights
