"""The figures of DEBUG_HIDDEN_N are those of the recorded spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from runs import small

from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.record.reader import Run
from snnrun.run import train

GENN = {"name": "genn", "device": "single_threaded_cpu"}
TRAIN, VALIDATION = range(3), range(3, 5)
KEYS: dict[str, Any] = {
    "DEBUG_HIDDEN_N": True,
    "N_HID_LAYER": 2,
    "INPUT_HIDDEN_MEAN": 1.2,
    "HIDDEN_HIDDENFWD_MEAN": 0.5,
    "HIDDEN_HIDDENFWD_STD": 0.7,
    "N_EPOCH": 2,
    "N_TRAIN": 50,
    "N_VALIDATE": 30,
    "PDROP_INPUT": 0.1,
    "REC_SPIKES": ["hidden0", "hidden1"],
    "REC_SPIKES_EPOCH_TRIAL": [[e, t] for e in range(2) for t in range(5)],
}
FIGURES = {
    "spikes_per_neuron": np.mean,
    "spikes_per_neuron_std": np.std,
    "spikes_per_neuron_min": np.min,
    "spikes_per_neuron_max": np.max,
    "silent_neurons": lambda rates: (rates == 0).sum(),
}


def rates_of(run: Run, epoch: int, trials: range, layer: str) -> np.ndarray:
    """Return the mean spikes per trial of each neuron, from what was recorded."""
    return np.concatenate([run.spikes(epoch, t, layer).counts() for t in trials]).mean(axis=0)


@pytest.mark.parametrize("backend", ["native", pytest.param(GENN, marks=pytest.mark.genn)])
def test_figures_of_every_layer_and_phase_are_those_of_the_recorded_spikes(
    backend: Any, tmp_path: Path
) -> None:
    train(small(**KEYS, backend=backend), tmp_path)
    run = load_run(tmp_path)
    for layer in ("hidden0", "hidden1"):
        for before, trials in (("", TRAIN), ("validation_", VALIDATION)):
            for epoch in range(2):
                rates = rates_of(run, epoch, trials, layer)
                assert rates.min() < rates.mean() < rates.max()
                for name, figure in FIGURES.items():
                    found = run.epochs[f"{before}{name}/{layer}"][epoch]
                    assert found == pytest.approx(figure(rates), rel=1e-12), name
    assert not any(
        "_std/output" in name or "_silent" in name for name in run.epochs if "hidden" not in name
    )
    assert {"spikes_per_neuron_std/hidden0", "spikes_per_neuron_max/hidden1"} <= set(run.test)
    with h5py.File(RunPaths(tmp_path).run) as file:
        meaning = file["epochs/validation_spikes_per_neuron_std/hidden0"].attrs["meaning"]
    assert meaning == (
        "standard deviation over the neurons of the population of their mean spikes per trial in "
        "validation"
    )


def test_figures_are_shown_below_each_epoch(tmp_path: Path) -> None:
    train(small(**KEYS), tmp_path)
    found = load_run(tmp_path).epochs
    lines = RunPaths(tmp_path).log.read_text().splitlines()
    shown = [line.split() for line in lines if "  sd " in line]
    assert [line[:2] for line in shown[:4]] == [
        ["hidden0", "train"],
        ["hidden0", "validation"],
        ["hidden1", "train"],
        ["hidden1", "validation"],
    ]
    assert len(shown) == 8
    values = [found[f"validation_{name}/hidden1"][1] for name in FIGURES]
    texts = [f"{value:.2f}" for value in values[:4]] + [f"{values[4]:.0f}"]
    assert shown[-1][3::2] == texts


@pytest.mark.parametrize(
    "keys", [{}, {"DEBUG_HIDDEN_N": True, "N_VALIDATE": 0, "CHECKPOINT_BEST": "training"}]
)
def test_nothing_is_recorded_that_was_not_asked_for_or_not_run(
    keys: dict[str, Any], tmp_path: Path
) -> None:
    train(small(**keys, N_EPOCH=1), tmp_path)
    run = load_run(tmp_path)
    names = {name.partition("/")[0] for name in run.epochs}
    assert not {name for name in names if name.startswith("validation_s")}
    assert ("spikes_per_neuron_std" in names) == bool(keys)
    assert any("_std" in name for name in run.test) == bool(keys)
    assert "rewired_neurons" not in names
