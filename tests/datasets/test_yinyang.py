"""Yin-Yang: the published classes, the encoding of the reference, and its streams."""

from __future__ import annotations

import numpy as np
import pytest
from samples import make_config

from snnrun.datasets import load
from snnrun.datasets.packing import latency_ms
from snnrun.datasets.yinyang import classify, input_values, points
from snnrun.errors import DataError


@pytest.mark.parametrize(
    ("x", "y", "label"),
    [
        (0.26, 0.52, 2),  # within the left small circle
        (0.74, 0.48, 2),  # within the right one
        (0.76, 0.34, 0),  # the lower half and the lobe around the right dot
        (0.23, 0.65, 1),  # the upper half and the lobe around the left dot
        (0.5, 0.98, 1),
        (0.5, 0.02, 0),
        (0.75, 0.65, 0),  # above the middle, but in the right lobe
        (0.25, 0.35, 1),  # below the middle, but in the left lobe
    ],
)
def test_points_belong_to_the_classes_of_the_publication(x: float, y: float, label: int) -> None:
    assert classify(np.array([x]), np.array([y])).tolist() == [label]


def test_the_encoding_is_that_of_the_reference() -> None:
    # T = 30 ms, d = 0.1 ms: t = 29.6 v + 0.2
    times = latency_ms(input_values(np.array([[0.25, 1.0]])), 30.0, 0.1)
    assert times == pytest.approx(np.array([[0.2, 7.6, 29.8, 22.4, 0.2]]))


def test_spikes_lie_on_the_steps_computed_by_hand() -> None:
    config = make_config(N_TRAIN=1, N_TEST=0, TRIAL_MS=30.0, DT_MS=0.1)
    data = load(config).train.data
    (x, y), _ = (part[0] for part in points(1, 123, "yinyang train"))
    times = [29.6 * v + 0.2 for v in (0.0, x, y, 1 - x, 1 - y)]
    steps = [int(t * 10 + 1e-6) for t in times]
    assert data.step_by_channel.tolist() == steps
    assert (data.n_steps, data.n_channels, data.n_classes) == (300, 5, 3)
    assert data.class_names == ("yin", "yang", "dot")
    assert data.dropped == 0


def test_all_points_lie_in_the_large_circle_and_classes_are_balanced() -> None:
    xy, labels = points(3000, 1, "some stream")
    assert np.hypot(*(xy - 0.5).T).max() <= 0.5
    assert np.array_equal(classify(*xy.T), labels)
    assert np.bincount(labels).min() > 900  # expected 1000, standard deviation 26
    for label in range(2):  # yin and yang are images of each other: their centres are too
        centre = xy[labels == label].mean(axis=0)
        assert centre[1] == pytest.approx(0.5 + (0.15 if label else -0.15), abs=0.08)


def test_a_larger_set_begins_with_the_smaller_one() -> None:
    small, large = (points(n, 7, "some stream") for n in (20, 5000))
    assert np.array_equal(small[0], large[0][:20])
    assert np.array_equal(small[1], large[1][:20])


def test_train_validation_and_test_come_from_streams_of_their_own() -> None:
    config = make_config(N_TRAIN=50, N_VALIDATE=50, N_TEST=50, TEST_DATA_SEED=123, TRIAL_MS=3000.0)
    splits = load(config)
    channels = [split.data.step_by_channel.tolist() for split in splits.all()]
    assert len({tuple(steps) for steps in channels}) == 3
    other_test = load(make_config(N_TRAIN=50, N_TEST=50, TEST_DATA_SEED=9, TRIAL_MS=3000.0))
    assert np.array_equal(other_test.train.data.step_by_channel, channels[0])
    assert other_test.validation is None
    assert other_test.test.data.step_by_channel.tolist() != channels[2]
    assert "50 train, 50 validation, 50 test" in splits.description


def test_a_size_is_needed() -> None:
    with pytest.raises(DataError, match="the size of the test set is null, but yinyang is gener"):
        load(make_config(N_TRAIN=10, N_TEST=None))


def test_a_trial_too_short_for_the_latency_code_is_refused() -> None:
    with pytest.raises(DataError, match="4 ms of input with DT_MS=1 are too short"):
        latency_ms(np.zeros(1), 4.0, 1.0)
