"""Learning-rate schedules: formulas, what a run records, stops in between, one's own, refusals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import SMALL, assert_same_run, small, stopped_at

from snnrun.config import from_dict
from snnrun.errors import ConfigError
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.record.runfile import open_run
from snnrun.rules.learning import Gradient
from snnrun.run import train
from snnrun.tasks import CLASSIFICATION
from snnrun.training.schedule import Plateau, Rates

ETA, PER_EPOCH, EPOCHS = 0.02, 7, 6


def rates(name: str, epochs: int = EPOCHS, /, **keys: Any) -> np.ndarray:
    """Return the rates of all updates of a training; options of the schedule are ``_warmup``."""
    options = {key[1:]: value for key, value in keys.items() if key[0] == "_"}
    others = {key: value for key, value in keys.items() if key[0] != "_"}
    given = {"ETA": ETA, "ETA_DECAY": 1.0, "N_EPOCH": EPOCHS} | others
    config = from_dict({**given, "schedule": {"name": name, **options}})
    found = [
        Rates().rates(config, Gradient(), epoch, epoch * PER_EPOCH, PER_EPOCH, PER_EPOCH)
        for epoch in range(epochs)
    ]
    return np.concatenate(found)


UPDATES = np.arange(EPOCHS * PER_EPOCH)


def test_a_warm_up_is_linear_and_ends_at_the_full_rate() -> None:
    grown = np.minimum(0.01 + 0.99 * UPDATES / 21, 1.0)
    np.testing.assert_allclose(rates("constant", _warmup=3), ETA * grown, rtol=1e-14)
    by_epoch = np.repeat([0.5, 0.75, 1, 1, 1, 1], PER_EPOCH)
    found = rates("constant", _warmup=2, _start=0.5, _per="epoch")
    np.testing.assert_allclose(found, ETA * by_epoch, rtol=1e-14)
    third = rates("constant", _warmup=1 / 3)  # 2 of 7 updates, rounded
    np.testing.assert_allclose(third[:3] / ETA, [0.01, 0.505, 1.0], rtol=1e-14)


def test_cosine_falls_to_its_end_after_the_warm_up() -> None:
    half = np.cos(np.linspace(0, np.pi / 2, len(UPDATES) + 1)[:-1]) ** 2
    np.testing.assert_allclose(rates("cosine"), ETA * half, rtol=1e-13)
    warm = rates("cosine", _warmup=2, _end=0.1)
    rest = 0.1 + 0.9 * np.cos(np.linspace(0, np.pi / 2, 29)[:-1]) ** 2
    np.testing.assert_allclose(warm[14:], ETA * rest, rtol=1e-13)
    np.testing.assert_allclose(warm[:14], ETA * (0.01 + 0.99 * np.arange(14) / 14), rtol=1e-13)


def test_a_schedule_stays_at_its_end_once_its_epochs_are_over() -> None:
    short = rates("cosine", _epochs=2, _end=0.25)
    np.testing.assert_array_equal(short[14:], np.full(28, ETA * 0.25))
    cycle = rates("one_cycle", _epochs=2, _end=0.25)
    np.testing.assert_allclose(cycle[13:], np.full(29, ETA * 0.25), rtol=1e-14)
    longer = rates("cosine", EPOCHS + 1)  # no second wave
    np.testing.assert_allclose(longer[-PER_EPOCH:], 0.0, atol=1e-18)


def test_one_cycle_rises_and_falls() -> None:
    found = rates("one_cycle", _rise=0.5, _start=0.1, _end=0.001)
    top = 0.5 * len(UPDATES) - 1
    assert found.argmax() == top
    rise = 0.1 + 0.9 * np.sin(np.pi / 2 * UPDATES[:21] / top) ** 2
    fall = 0.001 + 0.999 * np.cos(np.pi / 2 * (UPDATES[21:] - top) / (len(UPDATES) - 1 - top)) ** 2
    np.testing.assert_allclose(found, ETA * np.concatenate([rise, fall]), rtol=1e-12)
    usual = rates("one_cycle")
    np.testing.assert_allclose(usual[[0, -1]], [ETA / 25, ETA / 25e4], rtol=1e-12)


def test_the_schedule_multiplies_what_the_other_keys_make_of_eta() -> None:
    others = {"ETA_DECAY": 0.9, "LR_EASE_IN_FACTOR": 1.3}
    product = rates("constant", **others) * rates("cosine") / ETA
    np.testing.assert_allclose(rates("cosine", **others), product, rtol=1e-13)


def cuts(values: list[float], **options: Any) -> list[float]:
    """Return the factor after each epoch."""
    config = from_dict({"schedule": {"name": "plateau", **options}})
    state, found = Rates(), []
    for epoch, value in enumerate(values):
        loss = config.schedule.metric == "loss"
        row = dict.fromkeys(("train_loss", "validation_loss"), value if loss else np.nan)
        row |= dict.fromkeys(("train_accuracy", "validation_accuracy"), 0.5 if loss else value)
        state.end_epoch(config, epoch, row, CLASSIFICATION)
        found.append(state.plateau.factor)
    return found


def test_a_plateau_cuts_the_rate_once_patience_is_over() -> None:
    values = [0.5, 0.6, 0.6, 0.55, 0.7, 0.6, 0.6, 0.6, 0.6]
    assert cuts(values, patience=1) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert cuts(values, patience=1, threshold=0.15)[:5] == [1, 1, 0.5, 0.5, 0.5]
    assert cuts(values, patience=1, minimum=0.4)[-1] == 0.4
    rested = cuts([0.5] * 9, patience=1, cooldown=2, factor=0.1)
    np.testing.assert_allclose(rested, [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
    losses = [2.0, 1.0, 1.5, 1.5, 0.5]
    assert cuts(losses, patience=1, metric="loss") == [1, 1, 1, 0.5, 0.5]
    assert cuts([np.nan] * 5, patience=0) == [1] * 5


def test_the_state_of_a_plateau_is_kept_and_that_of_older_checkpoints_read() -> None:
    state = Rates(reductions=2, fast=0.5, plateau=Plateau(factor=0.25, best=0.5, bad=3))
    assert Rates.of(state.state()) == state
    older = {name: value for name, value in state.state().items() if name != "plateau"}
    assert Rates.of(older) == Rates(reductions=2, fast=0.5)


def test_a_run_records_the_rate_of_every_update_and_a_stop_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = {
        "name": "plateau",
        "patience": 0,
        "warmup": 0.5,
        "which": "training",
        "threshold": 0.05,
    }
    config = small(ETA_DECAY=1.0, N_EPOCH=5, schedule=schedule)
    train(config, tmp_path / "run")
    with open_run(RunPaths(tmp_path / "run")) as file:
        learned = file["trials/phase"][:] == file["trials/phase"][0]
        recorded = file["trials/learning_rate"][:][learned].reshape(5, -1)
    accuracy = load_run(tmp_path / "run").epochs["train_accuracy"]
    factors, best = [1.0], accuracy[0]
    for reached in accuracy[1:]:
        better = reached > best + 0.05
        factors.append(factors[-1] * (1.0 if better else 0.5))
        best = reached if better else best
    assert len(set(factors)) > 2
    np.testing.assert_allclose(recorded[1:], config.ETA * np.array([factors[:4]]).T.repeat(7, 1))
    np.testing.assert_allclose(recorded[0, :5] / config.ETA, [0.01, 0.2575, 0.505, 0.7525, 1.0])
    assert stopped_at(9, config, tmp_path / "stopped", monkeypatch)
    train(config, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "stopped", tmp_path / "run")


OWN = '''"""Schedules of a user's own."""

from snnrun.optimisers import Schedule

HALVES = Schedule(name="halves", meaning="half", factor=lambda at, options: 0.5**at.epoch)
WRONG = Schedule(name="wrong", meaning="below 0", factor=lambda at, options: -1.0)
'''


def test_a_schedule_of_ones_own_is_a_function_of_the_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_schedules.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    found = rates("own_schedules.HALVES", _warmup=1)
    np.testing.assert_allclose(found[7:] / ETA, np.repeat(0.5 ** np.arange(1, 6), 7))
    assert found[0] == ETA * 0.01
    with pytest.raises(ConfigError, match=r"of update 0, in epoch 0, is -1\.0; it must be"):
        rates("own_schedules.WRONG")
    with pytest.raises(ConfigError, match=r"has no 'HALVE'.*'HALVES'"):
        small(schedule="own_schedules.HALVE")
    with pytest.raises(ConfigError, match=r"schedule\.name=json\.dumps: must be a snnrun Schedule"):
        small(schedule="json.dumps")
    sys.modules.pop("own_schedules")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"schedule": "cosin"}, "Did you mean 'cosine'?"),
        ({"schedule": {"end": 0.1}}, "schedule.end=0.1: has no effect unless schedule.name is "),
        ({"schedule": {"start": 0.1}}, "unless schedule.warmup is not 0.0 or schedule.name is one"),
        (
            {"schedule": {"name": "one_cycle", "warmup": 2}},
            "schedule.warmup=2.0: has no effect unless schedule.name is not one_cycle",
        ),
        ({"schedule": {"name": "cosine", "warmup": 3}}, "schedule.warmup=3: must be less than"),
        ({"dataset": "pattern", "schedule": "cosine"}, "with rule=superspike; use rule.cut_every"),
        ({"dataset": "pattern", "schedule": {"warmup": 1}}, "has no effect with rule=superspike"),
    ],
)
def test_what_has_no_effect_or_no_meaning_is_refused(keys: dict[str, Any], message: str) -> None:
    source = {**SMALL, **keys} if "dataset" not in keys else keys
    with pytest.raises(ConfigError) as error:
        from_dict(source)
    assert message in str(error.value)
