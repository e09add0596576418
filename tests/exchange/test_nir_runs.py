"""Networks of NIR files, run: potentials and spikes of single neurons, steps of whole networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnrun
from snnrun.interface.evaluation import Evaluation

nir = pytest.importorskip("nir", reason="needs the package nir: pip install '.[nir]'")

from nir_files import affine, cuba, graph, lif, saved  # noqa: E402

STEPS = 40


def long_one(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.long)


def run(found: nir.NIRGraph, folder: Path, x: np.ndarray, stepping: str, **more: Any) -> Evaluation:
    """Return what a graph makes of spikes [steps, channels], in steps of 1 ms."""
    keys = {
        "network": "nir",
        "network.file": saved(found, folder),
        "network.stepping": stepping,
        "backend.name": "numpy",
        "LOSS_TYPE": "max",
        "DT_MS": 1.0,
        "TRIAL_MS": float(len(x)),
        "preset": "none",
    }
    return snnrun.evaluate(keys, x[None], **more)


def trains(found: Evaluation, population: str, steps: int) -> np.ndarray:
    """Return the spikes of a population, [steps, neurons]."""
    times, neurons = found.spikes[population].example(0)
    spikes = np.zeros((steps, found.spikes[population].n_neurons), int)
    np.add.at(spikes, (np.round(times).astype(int) - 1, neurons), 1)
    return spikes


def pulses(seed: int, channels: int = 1, rate: float = 0.4) -> np.ndarray:
    return (np.random.default_rng(seed).random((STEPS, channels)) < rate).astype(int)


def membrane(x: np.ndarray, *, decay: float, drive: float, threshold: float) -> Any:
    """Return potentials before the reset to 0, and spikes, of one neuron with that step."""
    v, potentials, spikes = 0.0, [], []
    for arrived in x[:, 0]:
        v = decay * v + drive * arrived
        potentials.append(v)
        spikes.append(int(v > threshold))
        v = 0.0 if v > threshold else v
    return np.array(potentials), np.array(spikes)


@pytest.mark.parametrize(
    ("stepping", "decay", "drive"),
    [
        ("exact", np.exp(-1 / 10), 1 - np.exp(-1 / 10)),
        long_one("jump", np.exp(-1 / 10), 1 / 10 * np.exp(-1 / 10)),
        long_one("euler", 0.9, 0.1),
        ("norse", 0.9, 0.1),
        long_one("snntorch", 0.9, 0.1),
    ],
)
def test_a_lif_neuron_steps_as_it_is_said(
    stepping: str, decay: float, drive: float, tmp_path: Path
) -> None:
    x = pulses(1)
    found = graph({"w": affine([[4.0]]), "n": lif(1, 0.01)}, "input w n output", [1])
    seen = run(found, tmp_path, x, stepping, spikes=["n"], variables=[("n", "V")])
    potentials, spikes = membrane(x, decay=decay, drive=4 * drive, threshold=1.0)
    assert spikes.sum() > 2
    assert seen.variables["n", "V"][0, :, 0] == pytest.approx(potentials, abs=1e-5)
    assert trains(seen, "n", STEPS)[:, 0].tolist() == spikes.tolist()


@pytest.mark.parametrize("tau_syn", [long_one(0.005), 0.01, long_one(0.0101), long_one(0.0004)])
def test_an_exact_step_of_a_membrane_behind_a_current_is_the_solution_of_its_equations(
    tau_syn: float, tmp_path: Path
) -> None:
    x, fine = pulses(2), 20000
    neurons = cuba(1, 0.01, tau_syn, v_threshold=1e6, r=2.0, w_in=1.5, v_leak=0.3)
    found = graph({"w": affine([[0.7]], 0.2), "n": neurons}, "input w n output", [1])
    seen = run(found, tmp_path, x[:8], "exact", variables=[("n", "V"), ("n", "I")])
    v = current = 0.0
    dt, tau_mem, tau = 1.0 / fine, 10.0, 1000 * tau_syn
    for step, arrived in enumerate(x[:8, 0]):
        s = 1.5 * (0.7 * arrived + 0.2)
        for _ in range(fine):  # the midpoint rule
            half = current + dt / 2 * (s - current) / tau
            v += dt * (0.3 - v - dt / 2 * (0.3 - v + 2 * current) / tau_mem + 2 * half) / tau_mem
            current += dt * (s - half) / tau
        assert seen.variables["n", "I"][0, step, 0] == pytest.approx(current, rel=1e-4)
        assert seen.variables["n", "V"][0, step, 0] == pytest.approx(v, rel=1e-4, abs=1e-6)


def sinabs_if(x: np.ndarray, threshold: float) -> np.ndarray:
    """Return the spikes of sinabs 2.0's IAF as it reads NIR, for currents [steps, neurons]."""
    v, spikes = np.zeros(x.shape[1]), np.zeros(x.shape, int)
    for step, arrived in enumerate(x):
        v = v + arrived
        spikes[step] = np.where(v > 0, np.trunc(v / threshold), 0)
        v = np.maximum(v - spikes[step] * threshold, -threshold)
    return spikes


def test_layers_of_sinabs_pass_spikes_on_within_a_step(tmp_path: Path) -> None:
    x = pulses(3, 3)
    w, v = np.array([[0.7, -0.9, 1.3], [0.5, 1.1, -2.0]]), np.array([[0.6, 0.8]])
    a = nir.IF(r=np.ones(2), v_threshold=np.full(2, 0.5))
    b = nir.IF(r=np.ones(1), v_threshold=np.ones(1))
    nodes = {"w": affine(w), "a": a, "v": affine(v, -0.1), "b": b}
    seen = run(graph(nodes, "input w a v b output", [3]), tmp_path, x, "sinabs", spikes=["a", "b"])
    first = sinabs_if(x @ w.T, 0.5)
    second = sinabs_if(first @ v.T - 0.1, 1.0)
    assert first.max() > 1  # several spikes a step
    assert trains(seen, "a", STEPS).tolist() == first.tolist()
    assert trains(seen, "b", STEPS)[1:].tolist() == second[:-1].tolist()  # one step later


@pytest.mark.parametrize(("stepping", "biased_from"), [("snntorch", 0), ("norse", 1)])
def test_recurrent_spikes_come_a_step_later(
    stepping: str, biased_from: int, tmp_path: Path
) -> None:
    """In norse the bias behind them does so too."""
    x, own = pulses(4, 2), 0.9
    w, back = np.array([[1.3, 0.4], [0.9, 1.2]]), np.array([[0.0, -0.8], [0.7, 0.3]])
    neurons = cuba(2, 0.01, 0.005, r=10.0, w_in=5.0)
    nodes = {"w": affine(w, 0.05), "n": neurons, "back": affine(back, own)}
    edges = [("input", "w"), ("w", "n"), ("n", "back"), ("back", "n"), ("n", "output")]
    seen = run(graph(nodes, edges, [2]), tmp_path, x, stepping, spikes=["n"])
    syn, mem, spikes = np.zeros(2), np.zeros(2), np.zeros((STEPS + 1, 2), int)
    for step in range(STEPS):  # Synaptic with reset_mechanism zero and reset_delay False
        syn = 0.8 * syn + w @ x[step] + 0.05 + back @ spikes[step] + own * (step >= biased_from)
        mem = 0.9 * mem + syn
        spikes[step + 1] = mem > 1.0
        mem[mem > 1.0] = 0.0
    assert spikes.sum() > 10
    assert trains(seen, "n", STEPS).tolist() == spikes[1:].tolist()


def test_spikes_of_the_output_are_counted(tmp_path: Path) -> None:
    x = pulses(5, 2, 0.6)
    nodes = {"w": affine([[1.5, 0.0], [0.0, 2.5]]), "n": lif(2, 0.001)}
    found = graph(nodes, "input w n output", [2])
    seen = run(found, tmp_path, x, "euler", spikes=["n"], variables=[("output", "V")])
    counts = trains(seen, "n", STEPS)[:-1].sum(axis=0)  # the last ones are still under way
    assert seen.variables["output", "V"][0, -1].tolist() == counts.tolist()
    assert seen.predictions.tolist() == [int(np.argmax(counts))]


@pytest.mark.long
@pytest.mark.parametrize("stepping", ["exact", "euler", "snntorch_late"])
def test_the_compiled_program_does_what_numpy_does(stepping: str, tmp_path: Path) -> None:
    x = pulses(6, 3)
    random = np.random.default_rng(7)
    nodes = {
        "w": affine(random.normal(1, 1, (5, 3)), 0.1),
        "a": cuba(5, 0.01, 0.004, r=8.0, w_in=2.0),
        "v": affine(random.normal(1, 1, (4, 5)), random.normal(0, 0.3, 4)),  # starts late
        "b": lif(4, 0.01, r=6.0),
    }
    found = graph(nodes, "input w a v b output", [3])
    names = ["a", "b"]
    slow = run(found, tmp_path, x, stepping, spikes=names)
    keys = {"backend.name": "native", "backend.precision": "float64"}
    fast = run(found, tmp_path, x, stepping, spikes=names, keys=keys)
    for name in names:
        assert trains(slow, name, STEPS).sum() > 5
        assert trains(fast, name, STEPS).tolist() == trains(slow, name, STEPS).tolist()


@pytest.mark.parametrize(
    ("stepping", "rule", "trained"),
    [("jump", "eventprop", []), long_one("euler", "surrogate", ["bias", "v_thresh"])],
)
def test_training_goes_on_from_what_is_in_the_file(
    stepping: str, rule: str, trained: list[str], tmp_path: Path
) -> None:
    random = np.random.default_rng(8)
    weight = random.normal(1.5, 0.8, (12, 5))
    nodes = {"w": affine(weight), "n": cuba(12, w_in=5.0, r=10.0), "v": affine(np.ones((3, 12)))}
    nodes["m"] = nir.CubaLI(*np.full((5, 3), [[0.005], [0.02], [1.0], [0.0], [5.0]]))
    keys = {
        "dataset": "yinyang",
        "preset": "none",
        "network": "nir",
        "network.file": saved(graph(nodes, "input w n v m output", [5]), tmp_path),
        "network.stepping": stepping,
        "network.hidden_trained": trained,
        "rule": rule,
        "LOSS_TYPE": "max",
        "backend": "numpy",
        "W_OUTPUT_EPOCH_TRIAL": [[0, 0], [1, 0]],
    }
    sizes = {"N_TRAIN": 64, "N_VALIDATE": 0, "N_TEST": 0, "N_EPOCH": 2, "DT_MS": 1.0, "ETA": 0.01}
    done = snnrun.train({**keys, **sizes}, tmp_path / "run", progress=False)
    assert done.weights(0, 0)["w"] == pytest.approx(weight.T, abs=1e-6)
    assert np.abs(done.weights(1, 0)["w"] - weight.T).max() > 1e-3
    assert np.abs(done.weights(1, 0)["v"] - 1).max() > 1e-3
