"""Silent neurons get new weights (REWIRE_SILENT, REWIRE_LIFT), and nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import assert_same_run, small, stopped_at
from test_guards import message, spoil

from snnrun.backends import open_backend
from snnrun.backends.base import Backend
from snnrun.config import Config
from snnrun.datasets import load
from snnrun.errors import ConfigError, NumericalError
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import build_program, train
from snnrun.streams import stream
from snnrun.training import checkpoint, loop
from snnrun.training.rewire import rewire
from snnrun.training.state import from_checkpoint, start_state, to_checkpoint

GENN = {
    "name": "genn",
    "device": "single_threaded_cpu",
    "precision": "float64",
    "optimize_code": False,
}
NATIVE = {"name": "native", "precision": "float64", "contraction": False}
BACKENDS = ["native", pytest.param("genn", marks=pytest.mark.genn)]
OF: dict[str, dict[str, Any]] = {"native": NATIVE, "genn": GENN}
DEEP: dict[str, Any] = {  # every projection has its own statistics
    "N_HID_LAYER": 2,
    "RECURRENT": True,
    "NUM_HIDDEN": 200,
    "INPUT_HIDDEN_MEAN": 1.5,
    "INPUT_HIDDEN_STD": 0.78,
    "HIDDEN_HIDDENFWD_MEAN": -0.4,
    "HIDDEN_HIDDENFWD_STD": 0.05,
}
# A third of the neurons is silent at first; deeper layers have others than the first one.
QUIET: dict[str, Any] = {
    "INPUT_HIDDEN_MEAN": 1.1,
    "REWIRE_SILENT": True,
    "CHECKPOINT_BEST": "training",
}


@contextmanager
def opened(config: Config, folder: Path) -> Iterator[Backend]:
    """Open a backend whose values and moments are all random numbers."""
    splits = load(config)
    with open_backend(build_program(config, splits), config, folder, splits, str) as found:
        backend = found.backend
        for tensor in backend.program.tensors:
            for which in ("value", *tensor.states):
                draw = stream(1, f"{tensor.name} {which}")
                backend.set(tensor.name, draw.uniform(0.1, 1.0, tensor.shape), which)
        yield backend


def tensors(backend: Backend) -> dict[tuple[str, str], np.ndarray]:
    kept = ((t.name, w) for t in backend.program.tensors for w in ("value", *t.states))
    return {(name, which): backend.get(name, which) for name, which in kept}


def counts(backend: Backend) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return spike counts with random silent neurons, the output's too; and who is silent."""
    sizes = [c.population.size for c in backend.program.populations]
    spikes = stream(2, "counts").integers(0, 3, sum(sizes))
    spikes[-sizes[-1] :] = 0
    return spikes, np.split(spikes == 0, np.cumsum(sizes)[:-1])


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("lift", [0.0, 0.25])
def test_only_silent_neurons_are_lifted_or_drawn_anew_with_the_statistics_of_their_layer(
    name: str, lift: float, tmp_path: Path
) -> None:
    config = small(**DEEP, REWIRE_SILENT=True, REWIRE_LIFT=lift, backend=OF[name])
    with opened(config, tmp_path) as backend:
        before = tensors(backend)
        spikes, silent = counts(backend)
        rewired = rewire(config, backend, spikes, epoch=3)
        after = tensors(backend)
    np.testing.assert_array_equal(rewired, [silent[0].sum(), silent[1].sum(), 0])
    assert 40 < silent[0].sum() < 100
    changed = {"in_to_hid0": silent[0], "hid_to_hidfwd0": silent[1]}
    for (tensor, which), array in after.items():
        here = changed.get(tensor, np.zeros(array.shape[1], bool))
        if lift:
            raised = lift * here * (which == "value")
            np.testing.assert_array_equal(array, before[tensor, which] + raised)
            continue
        np.testing.assert_array_equal(array[:, ~here], before[tensor, which][:, ~here])
        assert which == "value" or (array[:, here] == 0).all()
    for tensor, mean, std in (("in_to_hid0", 1.5, 0.78), ("hid_to_hidfwd0", -0.4, 0.05)):
        drawn = after[tensor, "value"][:, changed[tensor]]
        assert len(np.unique(drawn)) == drawn.size
        assert lift or abs(drawn.mean() - mean) < 4 * std / np.sqrt(drawn.size)
        assert lift or abs(drawn.std() - std) < 4 * std / np.sqrt(2 * drawn.size)


@pytest.mark.long
def test_draws_differ_between_epochs_layers_and_seeds_and_are_those_of_the_seed(
    tmp_path: Path,
) -> None:
    drawn = []
    for seed, epoch in ((1, 3), (1, 4), (2, 3), (1, 3)):
        config = small(
            N_HID_LAYER=2,
            NUM_HIDDEN=5,
            MODEL_SEED=seed,
            REWIRE_SILENT=True,
            INPUT_HIDDEN_MEAN=0.02,
            INPUT_HIDDEN_STD=0.01,
        )
        with opened(config, tmp_path) as backend:
            rewire(config, backend, np.zeros(13, np.int64), epoch)
            drawn += [backend.get(name) for name in ("in_to_hid0", "hid_to_hidfwd0")]
    np.testing.assert_array_equal(drawn[0], drawn[6])
    np.testing.assert_array_equal(drawn[1], drawn[7])
    assert all((a != b).all() for i, a in enumerate(drawn[:6]) for b in drawn[:i])


def test_a_run_rewires_the_neurons_that_its_recorded_spikes_show_to_be_silent(
    tmp_path: Path,
) -> None:
    train(small(**QUIET, N_EPOCH=1), tmp_path / "short")
    before = checkpoint.load(RunPaths(tmp_path / "short").last)["tensors"]["in_to_hid"]["value"]
    trials = range(7)
    keys = {"REC_SPIKES": ["hidden"], "REC_SPIKES_EPOCH_TRIAL": [[0, t] for t in trials]}
    train(small(**QUIET, **keys, W_OUTPUT_EPOCH_TRIAL=[[1, 0]]), tmp_path / "long")
    run = load_run(tmp_path / "long")
    spikes = np.concatenate([run.spikes(0, t, "hidden").counts() for t in trials])
    silent = spikes.sum(axis=0) == 0
    assert 0 < silent.sum() < 30
    differs = run.weights(1, 0)["in_to_hid"] != before
    np.testing.assert_array_equal(differs.all(axis=0), silent)
    np.testing.assert_array_equal(differs.any(axis=0), silent)
    rewired = run.epochs["rewired_neurons/hidden"]
    np.testing.assert_array_equal(rewired, [0, *run.epochs["silent_neurons/hidden"][:-1]])
    assert rewired[1] == silent.sum()
    assert run.epochs["silent_neurons/hidden"][-1] < silent.sum()  # it helps
    assert "rewired_neurons/output" not in run.epochs


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.long)])
def test_a_run_stopped_at_any_mini_batch_goes_on_to_the_same_bits(
    every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHUNK_S", 0.0)  # one mini-batch at a time
    config = small(**QUIET, DEBUG_HIDDEN_N=True, N_EPOCH=2, W_OUTPUT_EPOCH_TRIAL=[[1, 0]])
    train(config, tmp_path / "undisturbed")
    assert load_run(tmp_path / "undisturbed").epochs["rewired_neurons/hidden"][1] > 0
    look = 1
    while stopped_at(look, config, tmp_path / f"stopped{look}", monkeypatch):
        train(config, tmp_path / f"stopped{look}", resume=True)
        assert_same_run(tmp_path / f"stopped{look}", tmp_path / "undisturbed")
        look += every
    assert look == 2 * (7 + 3) + 1  # once before each mini-batch


@pytest.mark.long
def test_a_run_that_is_prolonged_has_the_bits_of_one_that_was_long_from_the_start(
    tmp_path: Path,
) -> None:
    for name, lengths in (("one", [4]), ("two", [1, 2, 4])):
        for epochs in lengths:
            train(small(**QUIET, N_EPOCH=epochs), tmp_path / name, resume=epochs != lengths[0])
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.genn
@pytest.mark.parametrize("pipeline", [False, True])
def test_a_run_stopped_with_genn_goes_on_to_the_same_bits(
    pipeline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(**QUIET, N_EPOCH=3, N_TRAIN=50, backend=GENN, PIPELINE=pipeline)
    train(config, tmp_path / "undisturbed")
    rewired = load_run(tmp_path / "undisturbed").epochs["rewired_neurons/hidden"]
    assert (rewired[1:] > 0).all()
    for look in (2, 3, 4):
        folder = tmp_path / f"stopped{look}"
        assert stopped_at(look, config, folder, monkeypatch)
        train(config, folder, resume=True)
        assert_same_run(folder, tmp_path / "undisturbed")


@pytest.mark.genn
def test_both_backends_rewire_the_same_neurons_with_the_same_weights(tmp_path: Path) -> None:
    for name, backend in OF.items():
        train(
            small(
                **QUIET,
                N_HID_LAYER=2,
                HIDDEN_HIDDENFWD_MEAN=1.0,
                HIDDEN_HIDDENFWD_STD=0.7,
                N_TRAIN=50,
                DEBUG_HIDDEN_N=True,
                backend=backend,
            ),
            tmp_path / name,
        )
    one, other = (load_run(tmp_path / name).epochs for name in OF)
    assert (one["rewired_neurons/hidden0"][1:] > 0).all()
    assert (one["rewired_neurons/hidden1"][1:] > 0).all()
    for column in (c for c in one if "spikes_per" in c or "neurons/" in c):
        np.testing.assert_array_equal(one[column], other[column], err_msg=column)
    a, b = (checkpoint.load(RunPaths(tmp_path / name).last)["tensors"] for name in OF)
    for tensor in a:
        for which in a[tensor]:
            np.testing.assert_allclose(
                a[tensor][which], b[tensor][which], rtol=1e-7, atol=1e-12, err_msg=tensor
            )


def test_the_log_tells_of_rewired_neurons_at_each_epoch_and_at_the_end(tmp_path: Path) -> None:
    train(small(**QUIET), tmp_path)
    found = load_run(tmp_path).epochs
    rewired, silent = found["rewired_neurons/hidden"], found["silent_neurons/hidden"]
    said = " ".join(RunPaths(tmp_path).log.read_text().split())
    for count in rewired[1:]:
        assert f"hidden: {count:.0f} silent neurons rewired before this epoch" in said
    assert (
        f"rewired hidden: {rewired.sum():.0f} silent neurons, in 2 of 3 epochs; "
        f"{silent[-1]:.0f} silent in the last epoch" in said
    )
    assert "a neuron's feed-forward weights are drawn anew" in said


def test_a_checkpoint_without_the_counts_of_newer_versions_is_read(tmp_path: Path) -> None:
    with opened(small(), tmp_path) as backend:
        saved = to_checkpoint(start_state(backend), backend)
        for name in ("validation_spikes", "dropped_spikes", "rewired"):
            del saved[name]
        state = from_checkpoint(saved, backend, "old")
    assert state.validation_spikes.shape == (33,)
    assert state.rewired.shape == state.dropped_spikes.shape == (2,)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"REWIRE_LIFT": 0.1}, "REWIRE_LIFT=0.1: has no effect unless REWIRE_SILENT is true"),
        ({"REWIRE_SILENT": True, "REWIRE_LIFT": -0.1}, "REWIRE_LIFT=-0.1: must be a number >= 0"),
        (
            {"REWIRE_SILENT": True, "TRAIN_W": False},
            "REWIRE_SILENT=true: would change weights that TRAIN_W=false keeps as they are",
        ),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        small(**keys)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("eta", "since", "advice"),
    [
        (1e-9, "trial 0 of epoch 1 (update 7", r"REWIRE_LIFT=2000000\.0, "),
        (1e9, "trial 0 of epoch 0", ""),
    ],
)
def test_an_explosion_after_weights_were_lifted_advises_a_smaller_lift(
    tmp_path: Path, eta: float, since: str, advice: str
) -> None:
    said = message(NumericalError, small(**QUIET, REWIRE_LIFT=1e7, ETA=eta), tmp_path)
    assert f"are not finite, or beyond 1e6, since {since}" in said
    assert re.search(
        rf"Try ETA=\S+, {advice}LR_EASE_IN_FACTOR=\S+, optimiser\.clip_norm=1\.0 or", said
    )


def test_a_validation_that_is_not_finite_after_a_lift_advises_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "validation", np.nan)
    keys = {"REWIRE_SILENT": True, "REWIRE_LIFT": 0.1, "LOSS_TYPE": "sum"}
    assert message(NumericalError, small(**keys), tmp_path).endswith(
        "Try ETA=0.001, REWIRE_LIFT=0.02, LR_EASE_IN_FACTOR=1.05 or optimiser.clip_norm=1.0"
    )
