"""rule=surrogate in float64, without contraction, is what tests/reference_discrete.py says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import reference
import reference_discrete
from draws import disturbances
from oracle import problem
from pairwise import pairwise
from parity import TAUS, data_of, gradients_of, load_parameters, load_weights, native, program_of
from test_parity import assert_close
from test_regularisers import STRENGTHS

from snnrun.models.losses import LOSSES
from snnrun.models.regularisers import REGULARISERS
from snnrun.models.surrogates import SURROGATES, SpikeDerivative

DT, EXAMPLES, KEY = 0.1, 3, 2**63 + 77
# Sums over synapses and over 240 steps go in another order; derivatives by time constants are small
# differences of such sums.
TOLERANCE = 1e-11
Choice = Mapping[str, Any]
# Sizes: below a register, and (140 neurons) beyond a block.
FACTORS: dict[str, tuple[Any, ...]] = {
    "model": ("lif", "lif_subtract", "alif", "lif_rest"),
    "surrogate": tuple(SURROGATES),
    "detach": (True, False),
    "loss": tuple(name for name, loss in LOSSES.items() if not loss.spiking),
    "regulariser": ("none", *REGULARISERS),
    "averaged": (False, True),
    "recurrent": (False, True),
    "hidden_layers": (1, 2),
    "sizes": ((5, 4, 3), (5, 140, 20)),
    "t_ref": (0.0, 1.0),  # ms
    "spread": (0.0, 0.1),  # 0: constants; else parameters differ between neurons
    "train": ((), (*TAUS, "v_thresh", "v_reset", "b_incr")),
    "v_reset": (0.0, -0.3),
    "integrator": ("exact", "euler"),
    "disturbed": (False, True),
}


def name_of(choice: Choice) -> str:
    return "-".join(str(choice[name]) for name in FACTORS)


def penalty_of(name: str, averaged: Mapping[int, np.ndarray] | None) -> Callable:
    """Return dR/ds of the penalty in models/regularisers.py, by hand."""
    s = STRENGTHS

    def penalty(counts: np.ndarray, layer: int) -> np.ndarray:
        n = counts if averaged is None else averaged[layer]
        above = n - s["NU_UPPER"]
        found = np.where(above > 0, s["LBD_UPPER"], s["LBD_LOWER"]) * above
        if name == "Thomas1" and n.sum() > s["RHO_UPPER"]:
            found = found + s["GLB_UPPER"] * (n.sum() - s["RHO_UPPER"]) / len(n)
        return found

    return penalty


@pytest.mark.parametrize("choice", pairwise(FACTORS), ids=name_of)
def test_the_gradient_is_that_of_the_steps(choice: Choice) -> None:
    case = problem(
        choice["model"], choice["loss"], choice["recurrent"], choice["hidden_layers"], seed=4,
        examples=EXAMPLES, t_ref=choice["t_ref"], spread=choice["spread"], sizes=choice["sizes"],
        parameters={"v_reset": choice["v_reset"]},
    )  # fmt: skip
    regulariser = REGULARISERS.get(choice["regulariser"])
    spikes = SpikeDerivative(surrogate=SURROGATES[choice["surrogate"]],
                             detach_reset=choice["detach"])  # fmt: skip
    program = program_of(
        case, DT, train=choice["train"], integrator=choice["integrator"], regulariser=regulariser,
        strengths=STRENGTHS, average_spikes=choice["averaged"], spikes=spikes,
        **({"noise": 0.05, "veto": 0.4} if choice["disturbed"] else {}),
    )  # fmt: skip
    backend = native(program)
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    maps = reference.step_maps(case, DT, choice["integrator"])

    def gradient(e: int, penalty: Callable | None) -> reference.Result:
        return reference_discrete.gradient(
            case, DT, e, reference_discrete.SURROGATES[choice["surrogate"]],
            detach=choice["detach"], maps=maps, penalty=penalty,
            disturbances=disturbances(program, KEY, e) if choice["disturbed"] else (),
            euler=choice["integrator"] == "euler",
        )  # fmt: skip

    wanted = plain = [gradient(e, None) for e in range(EXAMPLES)]
    assert all(one.counts[0].sum() > 0 for one in plain)  # else there would be nothing to compare
    if regulariser is not None:
        layers = range(len(case.layers))
        mean = {i: np.mean([one.counts[i] for one in plain], axis=0) for i in layers}
        penalty = penalty_of(regulariser.name, mean if choice["averaged"] else None)
        wanted = [gradient(e, partial(penalty)) for e in range(EXAMPLES)]
    results = backend.gradient(data_of(case, DT), np.arange(EXAMPLES), 0.0, KEY,
                               choice["disturbed"])  # fmt: skip
    np.testing.assert_allclose(results.loss, [one.loss for one in wanted], rtol=1e-12)
    assert_close(gradients_of(backend), reference.mean_gradients(wanted), TOLERANCE)
