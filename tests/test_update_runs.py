"""Runs of neurons that are declared by an update: they learn, and repeat bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import assert_same_run, small

from snnrun.errors import ConfigError, ModelError
from snnrun.record import load_run
from snnrun.run import train

KEYS: dict[str, Any] = {
    "rule": "surrogate",
    "LOSS_TYPE": "max",
    "HIDDEN_NEURON_TYPE": "rockpool_LIF_delta",
    "RECURRENT": True,
    "HIDDEN_HIDDEN_MEAN": 0.0,
    "HIDDEN_HIDDEN_STD": 0.05,
    "TRAIN_TAU": True,
    "network": {"hidden_trained": ["v_thresh", "bias"], "hidden_parameters": {"bias": 0.001}},
    "HIDDEN_NOISE": 0.02,
    "PDROP_HIDDEN": 0.1,
    "REC_SPIKES": ["hidden"],
    "REC_SPIKES_EPOCH_TRIAL": [[0, 0], [1, 5]],
    "REC_NEURONS": [["hidden", "V"]],
    "REC_NEURONS_EPOCH_TRIAL": [[1, 2]],
    "W_OUTPUT_EPOCH_TRIAL": [[1, 4]],
    "N_EPOCH": 4,
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    train(small(**KEYS, backend={"name": "native", "threads": 1}), folder)
    return folder


def test_a_run_in_parts_and_on_two_threads_ends_with_the_same_bits(
    tmp_path: Path, undisturbed: Path
) -> None:
    on_two = {**KEYS, "backend": {"name": "native", "threads": 2}}
    train(small(**{**on_two, "N_EPOCH": 2}), tmp_path)
    train(small(**on_two), tmp_path, resume=True)
    assert_same_run(tmp_path, undisturbed)


def test_thresholds_and_biases_are_learnt(undisturbed: Path) -> None:
    found = load_run(undisturbed).parameters(1, 4)
    for name in ("tau_mem", "v_thresh", "bias"):
        assert len(np.unique(found[f"hidden/{name}"])) > 10
    assert found["hidden/v_thresh"].min() > 0


def test_a_neuron_that_spikes_several_times_in_a_step_is_recorded_as_often(
    undisturbed: Path,
) -> None:
    run = load_run(undisturbed)
    record = run.spikes(1, 5, "hidden")
    times, ids = record.example(0)
    pairs, counts = np.unique(np.stack([times, ids]), axis=1, return_counts=True)
    assert 1 < counts.max() <= 15
    assert record.counts()[0].sum() == len(times) > len(pairs.T)


REFUSED = [
    (
        {"rule": "eventprop"},
        ConfigError,
        "HIDDEN_NEURON_TYPE=rockpool_LIF_delta: is declared by its update in discrete time, and "
        "rule=eventprop differentiates what flows between spikes; use rule=surrogate",
    ),
    (
        {"rule": "eventprop", "HIDDEN_NEURON_TYPE": "discrete.OWN"},
        ModelError,
        "population hidden: neuron own is declared by its update in discrete time, which has no "
        "flow between spikes; rule eventprop differentiates that flow. Use rule=surrogate",
    ),
    (
        {"network": {"hidden_trained": ["v_tresh"]}},
        ConfigError,
        "network.hidden_trained=v_tresh: neuron rockpool_lif_delta has no parameter of this name "
        "that can be trained. Did you mean 'v_thresh'? It has: tau_mem, v_thresh, bias",
    ),
    (
        {"network": {"hidden_trained": ["max_spikes_per_dt"]}},
        ConfigError,
        "network.hidden_trained=max_spikes_per_dt: neuron rockpool_lif_delta has no parameter of",
    ),
    (
        {"network": {"hidden_parameters": {"max_spikes_per_dt": 300}}},
        ModelError,
        "max_spikes_per_dt = 300 1; it must be in",
    ),
    ({"TAU_REF": 2.0}, ConfigError, "TAU_REF=2.0: has no effect, as neuron rockpool_lif_delta has"),
]


@pytest.mark.parametrize(("change", "kind", "said"), REFUSED, ids=[said for *_, said in REFUSED])
def test_what_cannot_be_is_refused(change: Any, kind: Any, said: str, tmp_path: Path) -> None:
    plain = {"rule": "surrogate", "LOSS_TYPE": "max", "HIDDEN_NEURON_TYPE": "rockpool_LIF_delta"}
    with pytest.raises(kind) as error:
        train(small(**{**plain, **change}), tmp_path)
    assert said in str(error.value)


@pytest.mark.long
def test_parameters_are_trained_with_rule_eventprop_too(tmp_path: Path) -> None:
    keys = {"network": {"hidden_trained": ["v_thresh"]}, "W_OUTPUT_EPOCH_TRIAL": [[0, 0], [2, 0]]}
    train(small(**keys), tmp_path)
    run = load_run(tmp_path)
    start, later = (run.parameters(epoch, 0)["hidden/v_thresh"] for epoch in (0, 2))
    assert (start == 1).all()
    assert len(np.unique(later)) > 10
    assert "hidden/tau_mem" not in run.parameters(0, 0)
