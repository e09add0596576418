"""NIR files in snnrun and in snnTorch, Norse and Sinabs: the same spikes in every step.

pip install 'snnrun[peers]' brings the other programs; without them these tests are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import SMALL, here

import snnrun

WHY = "is not installed (extra `peers`): NIR files were NOT compared with what it makes of them"
nir = pytest.importorskip("nir", reason=f"nir {WHY}")
torch: Any = pytest.importorskip("torch", reason=f"PyTorch {WHY}")

pytestmark = pytest.mark.peers
SCRIPTS = Path(__file__).parents[1] / "scripts"
STEPS, EXAMPLES, DT = 60, 4, 1e-3  # s
DRAW = np.random.default_rng(5)


def drawn(*shape: int, mean: float, spread: float) -> np.ndarray:
    return DRAW.normal(mean, spread, shape).astype(np.float32)


def graph(nodes: dict[str, Any], edges: str, *more: tuple[str, str]) -> Any:
    """Return a graph along a chain of nodes, with edges besides."""
    return nir.NIRGraph(nodes=nodes, edges=[*pairwise(edges.split()), *more])


def ends(source: tuple[int, ...], target: int) -> dict[str, Any]:
    return {
        "input": nir.Input({"input": np.array(source)}),
        "output": nir.Output({"output": np.array([target])}),
    }


def lif_of(size: int) -> Any:
    """Return neurons with time constants and thresholds of their own."""
    return nir.LIF(
        tau=np.linspace(0.004, 0.02, size),
        r=np.ones(size),
        v_leak=np.zeros(size),
        v_threshold=np.linspace(0.2, 0.6, size),
    )


def cuba_of(size: int, v_leak: float = 0.0) -> Any:
    tau_mem, tau_syn = np.linspace(0.004, 0.02, size), np.linspace(0.008, 0.003, size)
    return nir.CubaLIF(
        tau_mem=tau_mem,
        tau_syn=tau_syn,
        r=tau_mem / DT,
        v_leak=np.full(size, v_leak),
        v_threshold=np.ones(size),
        w_in=tau_syn / DT,
    )


def membranes() -> Any:
    """Return one layer of LIF neurons behind weights and biases."""
    weights = nir.Affine(drawn(9, 5, mean=1.5, spread=2.0), drawn(9, mean=0.3, spread=0.2))
    return graph({**ends((5,), 9), "w": weights, "a": lif_of(9)}, "input w a output")


def recurrent() -> Any:
    """Return two layers of CubaLIF neurons, the first one recurrent, all with biases."""
    nodes = {
        **ends((6,), 4),
        "w": nir.Affine(drawn(12, 6, mean=0.3, spread=0.4), drawn(12, mean=0.0, spread=0.1)),
        "a": cuba_of(12),
        "back": nir.Affine(drawn(12, 12, mean=0.0, spread=0.4), drawn(12, mean=0.1, spread=0.2)),
        "v": nir.Affine(drawn(4, 12, mean=0.2, spread=0.4), drawn(4, mean=0.0, spread=0.1)),
        "b": cuba_of(4),
    }
    return graph(nodes, "input w a v b output", ("a", "back"), ("back", "a"))


def convolutional() -> Any:
    """Return convolutions, pooling and a dense layer between neurons of kind IF."""

    def conv(source: int, channels: int, kernel: int, stride: int, shape: tuple[int, int]) -> Any:
        weight = drawn(channels, source, kernel, kernel, mean=0.15, spread=0.3)
        return nir.Conv2d(shape, weight, stride, 1, 1, 1, np.zeros(channels, np.float32))

    def neurons(*shape: int) -> Any:
        return nir.IF(r=np.ones(shape), v_threshold=np.ones(shape))

    nodes = {
        **ends((2, 9, 9), 5),
        "c": conv(2, 4, 3, 2, (9, 9)),
        "a": neurons(4, 5, 5),
        "d": conv(4, 3, 2, 1, (5, 5)),
        "b": neurons(3, 6, 6),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([3, 3, 3])}, 0, -1),
        "w": nir.Affine(drawn(5, 27, mean=0.1, spread=0.3), np.zeros(5, np.float32)),
        "e": neurons(5),
    }
    return graph(nodes, "input c a d b pool flat w e output")


FILES = {"membranes": membranes, "recurrent": recurrent, "convolutional": convolutional}


def events_for(found: Any) -> np.ndarray:
    """Return random spikes [steps, examples, *shape]."""
    shape = found.nodes["input"].input_type["input"]
    return (np.random.default_rng(6).random((STEPS, EXAMPLES, *shape)) < 0.15).astype(np.float32)


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmark import exchange

    return exchange


def same(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> bool:
    """Return whether all nodes spiked alike, after it has been seen that all did spike."""
    assert found.keys() == expected.keys()
    assert all(spikes.sum() > 20 and (spikes == 0).any() for spikes in expected.values())
    return all((found[node] == spikes).all() for node, spikes in expected.items())


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("program", ["norse", "snntorch"])
def test_every_neuron_spikes_in_the_steps_in_which_it_does_in(
    program: str, kind: str, exchange: Any, tmp_path: Path
) -> None:
    pytest.importorskip(program, reason=f"{program} {WHY}")
    found, file = FILES[kind](), tmp_path / "net.nir"
    nir.write(file, found)
    events = events_for(found)
    theirs = getattr(exchange, f"in_{program}")(found, events, DT)
    keys = {"network.stepping": program}
    assert same(exchange.in_snnrun(file, events, DT, **keys).spikes, theirs.spikes)


def test_neurons_send_several_spikes_a_step_as_in_sinabs(exchange: Any, tmp_path: Path) -> None:
    pytest.importorskip("sinabs", reason=f"sinabs {WHY}")
    found, file = convolutional(), tmp_path / "net.nir"
    nir.write(file, found)
    events = events_for(found)
    theirs = exchange.in_sinabs(found, events)
    assert max(spikes.max() for spikes in theirs.spikes.values()) > 1
    keys = {"network.stepping": "sinabs"}
    assert same(exchange.in_snnrun(file, events, DT, **keys).spikes, theirs.spikes)


def test_neurons_of_snntorch_are_those_that_its_own_reader_makes(exchange: Any) -> None:
    """The others are made and wired by scripts/benchmark/exchange.py."""
    snntorch = pytest.importorskip("snntorch.import_nir", reason=f"snnTorch {WHY}")
    found = membranes()
    found.nodes["a"] = nir.LIF(*(np.full(9, x) for x in (0.002, 1.0, 0.0, 0.05)))
    events = events_for(found)
    network, expected = snntorch.import_from_nir(deepcopy(found)), []
    for of_step in events:  # its step is 0.1 ms
        expected.append(network(torch.from_numpy(of_step))[0].detach().numpy())
    assert same(exchange.in_snntorch(found, events, 1e-4).spikes, {"a": np.array(expected)})


def test_potentials_of_integrators_are_those_of_norse(exchange: Any, tmp_path: Path) -> None:
    pytest.importorskip("norse", reason=f"norse {WHY}")
    found, file = recurrent(), tmp_path / "net.nir"
    spiking = vars(found.nodes["b"])
    found.nodes["b"] = nir.CubaLI(
        **{key: spiking[key] for key in ("tau_mem", "tau_syn", "r", "v_leak", "w_in")}
    )
    nir.write(file, found)
    events = events_for(found)
    theirs = exchange.in_norse(found, events, DT).potentials["b"]
    seen = exchange.in_snnrun(file, events, DT, **{"network.stepping": "norse"}).potentials["b"]
    assert np.abs(theirs).max() > 1
    assert seen == pytest.approx(theirs, rel=1e-4, abs=1e-4)


def test_a_trained_network_has_the_same_spikes_and_predictions_elsewhere(
    exchange: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark import compared

    monkeypatch.chdir(tmp_path)
    keys = SMALL | {"RECURRENT": True, "LOSS_TYPE": "max", "TRAIN_TAU": True}
    run = snnrun.train(keys | {"OUT_DIR": str(tmp_path)}, progress=False)
    file = tmp_path / "net.nir"
    words = ["--to", "nir", "--stepping", "euler", "--output", str(file)]
    assert here("export", str(run.paths.root), *words).returncode == 0
    programs = [name for name in ("norse", "snntorch") if find_spec(name)]
    rows = list(compared.of_run(run.paths.root, file, programs))
    assert len(rows) == 1 + 2 * len(programs) > 1
    for spikes, accuracy in zip(rows[1::2], rows[2::2], strict=True):
        assert re.search(r"hidden +[\d,]{4,} spikes.* differing places +0 of", spikes)
        assert f"the same prediction in {SMALL['N_TEST']} examples" in accuracy
