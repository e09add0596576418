"""RESCALE_T and RESCALE_X against a loop over the events of the files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snnrun.config import from_dict
from snnrun.datasets import Splits, load
from snnrun.errors import DataError


def shd(folder: Path, **keys: Any) -> Splits:
    common = {"TRIAL_MS": 20.0, "N_TRAIN": None, "N_VALIDATE": 10}
    return load(from_dict({"dataset": {"name": "shd", "path": str(folder)}, **common, **keys}))


@pytest.mark.parametrize(
    ("t", "x", "dt"), [(0.5, 1.0, 1.0), (2.5, 1.0, 0.5), (1.0, 0.1, 1.0), (0.3, 0.7, 1.0)]
)
def test_times_and_channels_are_multiplied(shd_folder: Path, t: float, x: float, dt: float) -> None:
    splits = shd(shd_folder, RESCALE_T=t, RESCALE_X=x, DT_MS=dt)
    assert {split.data.n_channels for split in splits.all()} == {round(700 * x)}
    with h5py.File(shd_folder / "shd_train.h5") as file:
        times, units = file["spikes/times"][:], file["spikes/units"][:]
    for example in range(40):
        expected = {
            (math.floor(float(s) * 1000 * t / dt + 1e-6), math.floor(int(c) * x + 1e-6))
            for s, c in zip(times[example], units[example], strict=True)
        }
        inside = sorted(event for event in expected if event[0] < 20 / dt)
        steps, channels = splits.train.data.events(example)
        assert list(zip(steps.tolist(), channels.tolist(), strict=True)) == inside


def test_shorter_times_bring_back_what_a_short_trial_cuts_off(shd_folder: Path) -> None:
    whole = shd(shd_folder).train.data
    cut, kept = (shd(shd_folder, TRIAL_MS=10.0, RESCALE_T=t).train.data for t in (1.0, 0.5))
    assert cut.outside > 100
    assert kept.outside == whole.outside == 0


def test_both_orders_of_events_agree_after_rescaling_channels(shd_folder: Path) -> None:
    data = shd(shd_folder, RESCALE_X=0.05).train.data
    for example in range(len(data)):
        steps, channels = data.events(example)
        order = np.lexsort((steps, channels))
        start, stop = data.offsets[example : example + 2]
        np.testing.assert_array_equal(data.step_by_channel[start:stop], steps[order])
        counts = np.bincount(channels, minlength=data.n_channels)
        np.testing.assert_array_equal(np.diff(data.channel_pointers[example]), counts)
    assert data.merged > 0
    assert "RESCALE_X: 700 channels to 35" in shd(shd_folder, RESCALE_X=0.05).description


def test_events_that_fall_together_are_kept_apart_without_merging(shd_folder: Path) -> None:
    folder = {"name": "shd", "path": str(shd_folder), "merge": False}
    apart, plain = (
        load(
            from_dict(
                {
                    "dataset": folder,
                    "TRIAL_MS": 20.0,
                    "N_TRAIN": None,
                    "N_VALIDATE": 10,
                    "RESCALE_X": x,
                }
            )
        ).train.data
        for x in (0.01, 1.0)
    )
    assert apart.n_events == plain.n_events


def test_latency_codes_take_that_part_of_their_time() -> None:
    keys = {"dataset": "yinyang", "N_TRAIN": 50, "N_VALIDATE": 10, "N_TEST": 0}
    half = load(from_dict({**keys, "RESCALE_T": 0.5})).train.data
    same = {**keys, "dataset": {"name": "yinyang", "input_ms": 15.0}}
    expected = load(from_dict(same)).train.data
    np.testing.assert_array_equal(half.step_by_channel, expected.step_by_channel)


def test_more_channels_than_can_be_stored_are_refused(shd_folder: Path) -> None:
    with pytest.raises(DataError, match="70000 input channels cannot be stored"):
        shd(shd_folder, RESCALE_X=100.0)
