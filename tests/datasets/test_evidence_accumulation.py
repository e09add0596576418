"""What trials of dataset=evidence_accumulation consist of, and of which side they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnrun.config import from_dict
from snnrun.datasets import Splits, load
from snnrun.errors import ConfigError

KEYS: dict[str, Any] = {"dataset": {"name": "evidence_accumulation"}, "TRIAL_MS": 2250.0}


def made(**sizes: int) -> Splits:
    return load(from_dict({**KEYS, "N_TRAIN": 200, "N_VALIDATE": 20, "N_TEST": 20, **sizes}))


def test_the_class_is_the_side_of_most_cues_and_all_comes_at_its_time() -> None:
    data = made().train.data
    assert (data.n_channels, data.n_classes, data.n_steps) == (40, 2, 2250)
    assert data.class_names == ("left", "right")
    right = []
    for example in range(len(data)):
        steps, channels = data.events(example)
        quarter = channels // 10
        cues = np.array(
            [
                [
                    np.isin(steps[quarter == side], range(50 + 150 * k, 150 + 150 * k)).sum()
                    for side in (0, 1)
                ]
                for k in range(7)
            ]
        )
        assert (cues > 0).sum(axis=1).tolist() == [1] * 7  # one side at a time
        assert cues.sum() == (quarter < 2).sum()  # and never else
        assert data.labels[example] == ((cues[:, 1] > 0).sum() > 3)
        assert steps[quarter == 2].min() >= 2100
        right.append((cues[:, 1] > 0).sum())
    assert 0.4 < data.labels.mean() < 0.6
    # a mixture of 7 cues with 0.3 and with 0.7
    assert np.var(right) == pytest.approx(7 * 0.21 + (7 * 0.2) ** 2, rel=0.25)


def test_rates_are_those_of_the_options() -> None:
    data = made().train.data
    channels = np.concatenate([data.events(e)[1] for e in range(len(data))]) // 10
    seconds = np.array([0.35, 0.35, 0.15, 2.25]) * len(data) * 10
    rates = np.bincount(channels, minlength=4) / seconds
    np.testing.assert_allclose(rates[2:], [40.0 * 0.98, 10.0], rtol=0.03)  # one spike a step
    assert rates[:2].mean() == pytest.approx(40.0 * 0.98, rel=0.03)


def test_a_larger_part_begins_with_a_smaller_one_and_parts_differ() -> None:
    small, large = made(N_TRAIN=20).train.data, made(N_TRAIN=40).train.data
    assert np.array_equal(large.channel_by_step[: small.n_events], small.channel_by_step)
    first = [split.data.events(0)[1].tolist() for split in made().all()]
    assert len({tuple(channels) for channels in first}) == 3


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"TRIAL_MS": 1000.0, "LOSS_WINDOW": None}, "shorter than the 1200 ms"),
        ({"dataset": {**KEYS["dataset"], "channels": 42}}, "must be a multiple of 4"),
        ({"dataset": {**KEYS["dataset"], "minority": 0.7}}, "dataset.minority=0.7"),
    ],
)
def test_cues_that_do_not_fit_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        from_dict({**KEYS, **keys})
