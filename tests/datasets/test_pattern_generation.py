"""Clock-like input and sinusoids of dataset=pattern_generation, and courses of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.datasets.fingerprint import fingerprint
from snnrun.errors import DataError

OPTIONS = {"name": "pattern_generation"}


def made(**keys: Any) -> Any:
    options = {**OPTIONS, **keys.pop("dataset", {})}
    return load(from_dict({"dataset": options, "TRIAL_MS": 1000.0, "LOSS_TYPE": "mse", **keys}))


def test_groups_of_channels_fire_one_after_the_other_at_equal_intervals() -> None:
    splits = made(N_TRAIN=10, N_VALIDATE=0, N_TEST=1)
    steps, channels = splits.train.data.events(0)
    assert (splits.train.data.n_channels, len(steps)) == (20, 5 * 4 * 20)
    assert np.array_equal(steps // 200, channels // 4)
    for channel in range(20):
        assert (np.diff(steps[channels == channel]) == 10).all()
    assert splits.train.examples.tolist() == [0] * 10
    assert splits.test.data is splits.train.data


def test_noise_has_the_rate_and_the_seed_of_the_training_data() -> None:
    noise = {"groups": 1, "regular": False, "channels": 100, "rate": 50.0}
    one, same, other = (made(dataset=noise, TRAIN_DATA_SEED=seed).train.data for seed in (1, 1, 2))
    assert 4700 < one.n_events < 5100  # 5,000 less those of one step
    assert np.array_equal(one.channel_by_step, same.channel_by_step)
    assert not np.array_equal(one.channel_by_step[:400], other.channel_by_step[:400])


def test_targets_are_sums_of_whole_cycles_that_start_from_0_and_reach_1() -> None:
    data = made(dataset={"outputs": 4}).train.data
    assert data.courses is not None
    [values] = data.courses.of(np.array([0]))
    assert values.shape == (1000, 4)
    assert (values[0] == 0).all()
    np.testing.assert_allclose(np.abs(values).max(axis=0), 1.0, rtol=1e-6)
    power = np.abs(np.fft.rfft(values, axis=0))
    assert power[[1, 2, 3, 5]].min() > 1e3 * np.delete(power, [0, 1, 2, 3, 5], axis=0).max()
    fewer = made(dataset={"outputs": 2}).train.data.courses.of(np.array([0]))[0]
    assert np.array_equal(fewer, values[:, :2])


OWN = """
import numpy as np
from snnrun.datasets import DataSet, Events, Part

def read(request):
    n = 6
    draw = np.random.default_rng(1)
    events = Events(
        times_ms=draw.uniform(0, 50, n * 9), channels=draw.integers(0, 5, n * 9),
        counts=np.full(n, 9),
    )
    courses = np.arange(n)[:, None, None] + np.zeros((n, request.steps, 2))
    return {
        name: Part(events=events, labels=np.zeros(n, int), n_channels=5, n_classes=2,
                   courses=courses[:, :SHOWN])
        for name in request.parts
    }

mine = DataSet(name="mine", title="courses of one's own", read=read)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def write(name: str, shown: str = "None") -> str:
        (tmp_path / f"{name}.py").write_text(OWN.replace("SHOWN", shown))
        return f"{name}.mine"

    monkeypatch.syspath_prepend(tmp_path)
    return write


def test_courses_of_ones_own_go_with_their_examples_through_splits_and_augmentation(
    own: Any,
) -> None:
    from snnrun.datasets.feed import feed

    config = from_dict(
        {
            "dataset": own("courses_here"),
            "TRIAL_MS": 50.0,
            "N_VALIDATE": 2,
            "N_TRAIN": 4,
            "N_BATCH": 2,
            "LOSS_TYPE": "mse",
            "AUGMENTATION": {"ID_jitter": 1.0},
        }
    )
    splits = load(config)
    with feed(config, splits, splits.train, epochs=1) as fed:
        served = fed.serve(0, 0, 2)
    assert served.data is not splits.train.data
    shown = served.data.courses.of(served.examples)
    assert np.array_equal(shown[:, 0, 0], served.numbers)
    found = fingerprint(splits, config.N_TEST)
    courses = splits.train.data.courses
    moved = replace(splits.train.data, courses=replace(courses, values=courses.values + 1))
    changed = replace(splits, train=replace(splits.train, data=moved))
    assert found != fingerprint(changed, config.N_TEST)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, r"shape \(6, 49, 2\), and must have \(6, 50, 2\)"),
        ({"REDUCED_CLASSES": [0, 1]}, "REDUCED_CLASSES: dataset .* has target courses and no"),
        ({"AUGMENTATION": {"blend": [0.5, 0.5]}}, "AUGMENTATION.blend: .* has target courses"),
    ],
)
def test_courses_that_do_not_fit_are_refused(own: Any, keys: dict[str, Any], said: str) -> None:
    short = "None" if keys else "49"
    with pytest.raises(DataError, match=said):
        load(
            from_dict(
                {
                    "dataset": own(f"courses_{short}", short),
                    "TRIAL_MS": 50.0,
                    "N_VALIDATE": 2,
                    "N_TRAIN": 4,
                    "LOSS_TYPE": "mse",
                    **keys,
                }
            )
        )
