"""The networks of the parity tests: spikes, losses, gradients and updates are those of native."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import parity as problems
import ported
from gpu.choice import Choice
from gpu.outcome import require
from test_parity import CASES, DT, EXAMPLES, Case

from snnrun.backends.base import NO_NOISE, Backend, by_tensor
from snnrun.backends.genn import open_for_check
from snnrun.backends.genn.settings import Settings
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import DELAYS, Program
from snnrun.datasets.spikes import SpikeData

TOLERANCE = 1e-9  # of float64; a GPU adds in another order, and its exponentials round otherwise
DELAY_RATE = 0.3  # ms
RATES = np.full(3, 1e-3)
SOME = ("recurrent, refractory", "adaptive, peaks", "lags of spike times")
GRAPHS = {"graph": "sum", "graph with delays": "max"}  # feedback, skips, two ports; and its loss
AT_ONCE = ", as a CUDA graph"


def names_of(choice: Choice) -> list[str]:
    """Return the names of the networks."""
    at_once = (f"{name}{AT_ONCE}" for name in (SOME[0], *GRAPHS)) if choice.device == "cuda" else ()
    return [*(SOME if choice.small else CASES), *GRAPHS, *at_once]


def check(name: str, choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    """Compare a network on the device with another backend; return the largest differences."""
    settings = Settings(batch=EXAMPLES, precision="float64", spikes=400)
    name, at_once, _ = name.partition(AT_ONCE)

    def opened(program: Program, data: SpikeData) -> Backend:
        code = Path(tempfile.mkdtemp(dir=place))
        return open_for_check(
            program, code, [data], settings, device=choice.device, graphs=bool(at_once)
        )

    if name in GRAPHS:
        program = ported.graph(GRAPHS[name], **(ported.DELAYED if "delays" in name else {}))
        data = ported.data()
        pair = opened(program, data), NumpyBackend(program)
        for backend in pair:
            ported.load_weights(backend)
    else:
        case: Case = CASES[name]
        program = problems.program_of(
            case.problem, DT, train=case.train, integrator=case.integrator
        )
        data = problems.data_of(case.problem, DT)
        pair = opened(program, data), problems.native(program)
        for backend in pair:
            problems.load_weights(backend, case.problem.weights)
            problems.load_parameters(backend, case.problem)
    found = {"gradients": _gradients(pair, data), "after 3 updates": _updates(pair, data)}
    pair[0].close()
    return found


def _gradients(pair: tuple[Backend, Backend], data: SpikeData) -> float:
    mine, theirs = (backend.gradient(data, np.arange(EXAMPLES)) for backend in pair)
    same = (mine.neuron_spikes == theirs.neuron_spikes).all()
    require(bool(same), "neurons do not spike as often")
    require(bool(theirs.layer_spikes.any()), "no neuron spikes")
    worst = _distance(mine.loss, theirs.loss)
    a, b = (problems.gradients_of(backend) for backend in pair)
    trained = {t.name for t in pair[0].program.tensors if t.trained}
    worst = max(
        worst, *(_distance(a[n], b[n]) for n in b if n.split(".")[0] in trained or "." in n)
    )
    return _close("gradients", worst)


def _updates(pair: tuple[Backend, Backend], data: SpikeData) -> float:
    order = np.resize(np.arange(EXAMPLES)[::-1], len(RATES) * EXAMPLES)
    tensors = pair[0].program.tensors
    rates = by_tensor(RATES, pair[0].program).copy()
    rates[:, [tensor.kind == DELAYS for tensor in tensors]] = DELAY_RATE
    for backend in pair:
        backend.train(data, order, EXAMPLES, rates, 0, NO_NOISE)
    worst = max(
        _distance(*(backend.get(tensor.name, which) for backend in pair))
        for tensor in tensors
        for which in ("value", *tensor.states)
    )
    return _close("tensors after 3 updates", worst)


def _distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number."""
    scale = float(np.abs(wanted).max(initial=0.0)) or 1.0
    return float(np.abs(np.asarray(found, float) - wanted).max(initial=0.0)) / scale


def _close(what: str, worst: float) -> float:
    require(worst <= TOLERANCE, f"{what} differ by {worst:.2g} of the largest ({TOLERANCE:g})")
    return worst
