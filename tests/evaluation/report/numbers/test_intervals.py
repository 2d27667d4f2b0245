import time

import numpy as np
import pytest

from comem_hf.evaluation.report.numbers.intervals import Interval, resample_headlines, resample_means
from comem_hf.evaluation.report.numbers.scores import LEFT_OUT, Groups


def one_group(count: int) -> Groups:
    return Groups(("all",), np.zeros(count, dtype=int))


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(1).random((1, 3000)) < 0.3
    interval = Interval.of(resample_means(values.astype(float), one_group(3000))[:, 0, 0])
    mean, spread = values.mean(), 1.96 * values.std() / np.sqrt(3000)
    assert interval.low == pytest.approx(mean - spread, abs=0.06 * spread)
    assert interval.high == pytest.approx(mean + spread, abs=0.06 * spread)


def test_the_interval_covers_the_true_number_95_times_in_100():
    """The harmonic mean of two splits, 300 times; 0.95 give or take three standard errors."""
    generator, truth, covered = np.random.default_rng(2), 2 / (1 / 0.6 + 1 / 0.3), 0
    groups = Groups(("old", "new"), np.repeat([0, 1], [80, 240]))
    for seed in range(300):
        values = (generator.random((1, 320)) < np.where(groups.members == 0, 0.6, 0.3)).astype(float)
        means = resample_means(values, groups, resamples=400, seed=seed)
        numbers = resample_headlines(means, groups.names, lambda m: 2 / (1 / m["old"] + 1 / m["new"]))
        interval = Interval.of(numbers[:, 0])
        covered += interval.low <= truth <= interval.high
    assert covered / 300 == pytest.approx(0.95, abs=0.04)


def test_a_paired_difference_is_narrower_than_one_of_two_samples():
    """Two ways that agree on most questions: a variance of their difference of 0.1 / n, not of 2 * 0.25 / n."""
    generator = np.random.default_rng(3)
    first = generator.random(2000) < 0.5
    second = np.where(generator.random(2000) < 0.1, ~first, first)
    means = resample_means(np.stack([first, second]).astype(float), one_group(2000))
    paired = Interval.of(means[:, 0, 0] - means[:, 0, 1])
    unpaired = Interval.of(means[:, 0, 0] - np.roll(means[:, 0, 1], 1))
    assert paired.high - paired.low == pytest.approx(2 * 1.96 * np.sqrt((first != second).mean() / 2000), rel=0.1)
    assert unpaired.high - unpaired.low == pytest.approx(2 * 1.96 * np.sqrt(0.5 / 2000), rel=0.1)


def test_the_same_answers_in_two_ways_do_not_differ():
    values = np.random.default_rng(4).random(50)
    means = resample_means(np.stack([values, values]), one_group(50))
    assert Interval.of(means[:, 0, 0] - means[:, 0, 1]) == Interval(0, 0)


def test_each_resample_has_all_groups_in_their_sizes_and_nothing_that_is_left_out():
    """A split of one question, right: over all questions it would be missing in a third of the resamples."""
    groups = Groups(("one", "many"), np.array([0, *[1] * 99, LEFT_OUT]))
    values = np.array([[1.0, *[0.0, 1.0, 1.0] * 33, 1e9]])
    means = resample_means(values, groups)
    assert (means[:, 0] == 1).all()
    assert np.allclose(means[:, 1] * 99, (means[:, 1] * 99).round(), atol=1e-9)
    assert means[:, 1].mean() == pytest.approx(2 / 3, abs=0.01)
    assert means[:, 1].std() == pytest.approx(np.sqrt(2 / 9 / 99), rel=0.06)


def test_draws_depend_on_the_seed_and_not_on_the_other_ways(monkeypatch):
    values = np.random.default_rng(5).random((3, 40))
    means = resample_means(values, one_group(40), resamples=64)
    assert np.array_equal(means, resample_means(values, one_group(40), resamples=64))
    assert np.array_equal(means[:, :, :1], resample_means(values[:1], one_group(40), resamples=64))
    assert not np.array_equal(means, resample_means(values, one_group(40), resamples=64, seed=1))


def test_draws_in_several_parts_are_as_good(monkeypatch):
    monkeypatch.setattr("comem_hf.evaluation.report.numbers.intervals._DRAWS_AT_A_TIME", 1000)
    values = np.random.default_rng(6).random((1, 400))
    means = resample_means(values, one_group(400))[:, 0, 0]
    assert means.std() == pytest.approx(values.std() / 20, rel=0.06) and len(np.unique(means)) > 1990


def test_all_right_leaves_no_width():
    assert Interval.of(resample_means(np.ones((1, 7)), one_group(7))[:, 0, 0]) == Interval(1, 1)


def test_nine_ways_on_infoseek_take_a_second_or_two():
    groups = Groups(("old", "new"), np.repeat([0, 1], [867, 3841]))
    values = (np.random.default_rng(7).random((9, 4708)) < 0.3).astype(float)
    start = time.process_time()
    resample_headlines(resample_means(values, groups), groups.names, lambda means: 100 * means["old"])
    assert time.process_time() - start < 6  # 0.4 s on an idle core
