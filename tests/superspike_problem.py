"""A small pattern task, and any backend's run of it held against the NumPy reference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from superspike_reference import Reference

from snnrun.backends import open_backend
from snnrun.backends.base import NO_NOISE, Results
from snnrun.backends.online import OnlineRuns
from snnrun.config import Config, from_dict
from snnrun.datasets import load
from snnrun.datasets.spikes import SpikeData
from snnrun.network.build import initial_weights
from snnrun.run import build_program

CHANNELS, HIDDEN, OUTPUTS = 12, 7, 5
SMALL: dict[str, Any] = {
    "DT_MS": 0.5,
    "TRIAL_MS": 40.0,
    "NUM_HIDDEN": HIDDEN,
    "MODEL_SEED": 3,
    "TAU_REF": 2.0,
}
DATA = {"name": "pattern", "channels": CHANNELS, "outputs": OUTPUTS, "rate": 100.0}
EXACT = {"precision": "float64", "contraction": False, "threads": 2, "flags": ["-O0"]}
RULE = {"name": "superspike", "update_ms": 50.0, "w0": 250.0, "w_limit": 120.0}
CASES: dict[str, dict[str, Any]] = {
    "symmetric": {"sigma_floor": -1.0},
    "random, delay, het": {
        "feedback": "random",
        "feedback_seed": 5,
        "feedback_sd": 0.5,
        "delay_ms": 1.0,
        "het_rho": 0.3,
        "het_tau": 20.0,
    },
    "uniform, aligned, reset, het with error": {
        "feedback": "uniform",
        "update_aligned": True,
        "update_ms": 15.0,
        "het_a": 2.5,
        "reset_state_per_trial": True,
        "het_rho": 1.0,
        "het_error_scaled": True,
        "delay_ms": 1.5,
    },
    "no hidden layer, delay, burn-in": {
        "feedback": "none",
        "delay_ms": 2.0,
        "burn_in_ms": 20.0,
        "beta": 0.5,
        "tau_rise": 3.0,
        "tau_decay": 8.0,
        "tau_rms": 200.0,
        "tau_error": 50.0,
        "epsilon": 1e-3,
    },
}


def config_of(rule: dict[str, Any], backend: dict[str, Any] = EXACT, **keys: Any) -> Config:
    hidden = {} if rule.get("feedback") != "none" else {"NUM_HIDDEN": 256}
    return from_dict(
        SMALL | hidden | {"dataset": DATA, "rule": RULE | rule, "backend": backend} | keys
    )


@contextmanager
def opened(config: Config, folder: Path) -> Iterator[tuple[OnlineRuns, SpikeData]]:
    splits = load(config)
    program = build_program(config, splits)
    with open_backend(program, config, folder, splits, lambda text: None) as found:
        backend = found.backend
        assert isinstance(backend, OnlineRuns)
        for name, weights in initial_weights(program.network, config.MODEL_SEED).items():
            backend.set(name, weights)
        yield backend, splits.train.data


def learn(backend: OnlineRuns, data: SpikeData, rates: np.ndarray) -> Results:
    """Present the pattern once for each of the step sizes."""
    return backend.train(data, np.zeros(len(rates), np.int64), 1, rates, 0, NO_NOISE)


def reference_of(config: Config, backend: OnlineRuns) -> Reference:
    weights = [backend.get(t.name) for t in backend.program.tensors]
    fixed = backend.fixed_feedback()
    return Reference(
        weights,
        config.rule,
        dt=config.DT_MS,
        tau_mem=config.TAU_MEM,
        tau_syn=config.TAU_SYN,
        threshold=config.V_THRESH,
        t_ref=config.TAU_REF,
        feedback=fixed,
    )


def dense(steps: np.ndarray, ids: np.ndarray, n_steps: int, size: int) -> np.ndarray:
    found = np.zeros((n_steps, size))
    found[steps, ids] = 1.0
    return found


def compare(backend: OnlineRuns, reference: Reference, where: str) -> None:
    """Compare all that the reference has with what the backend carries, after the same steps."""
    kept, scale = backend.carried(), reference.dt / reference.o.tau_decay
    for tensor, layer in zip(backend.program.tensors, reference.layers, strict=True):
        name = backend.program.populations[tensor.layer].population.name
        own_sum = kept.get(f"{name}_own_sum")
        m = backend.get(tensor.name, "first")
        if own_sum is not None:  # the reference has the term in m
            m = m - 1e-3 * reference.o.het_rho * layer.w * own_sum
        seen = {
            "V": (kept[f"{name}_states"][0], layer.V),
            "I": (kept[f"{name}_states"][1], layer.I),
            "held": (kept[f"{name}_refractory"][0], layer.held),
            "z": (kept[f"{name}_z"][0], layer.z),
            "z~": (kept[f"{name}_z_filtered"][0], layer.zf),
            "s'": (kept[f"{name}_slope_rows"][-1], layer.slope),
            "err": (kept[f"{name}_error_rows"][-1], layer.err),
            "e": (kept[f"{name}_e"] / scale, layer.e),
            "lambda": (kept[f"{name}_lambda"], layer.lam),
            "m": (m, layer.m),
            "root of v": (backend.get(tensor.name, "second"), np.sqrt(layer.v2)),
            "w": (backend.get(tensor.name), layer.w),
        }
        for what, (got, wanted) in seen.items():
            np.testing.assert_allclose(
                got,
                wanted,
                rtol=1e-10,
                atol=1e-13 * np.abs(wanted).max(initial=1.0),
                err_msg=f"{what} of {name}, {where}",
            )
    got = kept["output_mean_square"][0]
    np.testing.assert_allclose(got, reference.mean_square, rtol=1e-9, atol=1e-15, err_msg=where)


def assert_every_step(backend: OnlineRuns, data: SpikeData, config: Config, every: int = 1) -> None:
    """Hold three trials against the reference, at their ends and in every ``every``-th step."""
    reference = reference_of(config, backend)
    steps = config.steps
    inputs = dense(*data.events(0), steps, CHANNELS)
    assert data.targets is not None
    targets = dense(*data.targets.of(0), steps, OUTPUTS)
    spikes = [0] * len(reference.layers)
    before = [layer.w.copy() for layer in reference.layers]
    for trial, r0 in enumerate((2.0, 3.0, 0.7)):
        kept, rate = backend.carried(), np.array([r0])
        tensors = {
            (t.name, which): backend.get(t.name, which)
            for t in backend.program.tensors
            for which in ("value", "first", "second")
        }
        reference.begin_trial()
        for n in range(steps):
            reference.step(inputs[n], targets[n], r0, last=n == steps - 1)
            whole = reference.o.update_aligned and n < steps - 1
            spikes = [
                s + int(x.spikes.sum()) for s, x in zip(spikes, reference.layers, strict=True)
            ]
            if whole and (n + 1) % round(reference.o.update_ms / reference.dt):
                continue  # a trial that stops here would have its last update here
            if n % (7 * every if trial > 1 else every) and n != steps - 1:
                continue
            backend.carry(kept)
            for (name, which), values in tensors.items():
                backend.set(name, values, which)
            backend.stop = n + 1
            learn(backend, data, rate)
            compare(backend, reference, f"trial {trial}, step {n}")
    assert min(spikes) > 20, "the comparison needs spikes"
    assert reference.updates >= 2
    changed = [not np.array_equal(w, x.w) for w, x in zip(before, reference.layers, strict=True)]
    assert all(changed)
    assert any((np.abs(x.w) == config.rule.w_limit).any() for x in reference.layers) or (
        config.rule.feedback == "none"
    )
