"""rule=surrogate in float64, without contraction, is what tests/reference_discrete.py says.

Every pair of choices runs on backend numpy, in test_interpreter.py; here, with a compiler, those
that hold every value, and any two of what the runtime's code branches by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import reference
import reference_discrete
from draws import disturbances
from long import long_but
from oracle import Problem, problem
from pairwise import cover, pairwise
from parity import TAUS, data_of, gradients_of, load_parameters, load_weights, native, program_of
from test_parity import assert_close
from test_regularisers import STRENGTHS

from snnrun.backends.base import Noise
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.derive import derive
from snnrun.compile.discrete import derive_step_back
from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.models.losses import LOSSES
from snnrun.models.neurons import TAU_MEM, V_THRESH
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
    "detach": (True, False, ("V",)),
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
    "in_segments": (False, True),
}
# States are kept for the fewest steps, as those of long trials are; trials are walked back alone.
SEGMENTS, ALONE = ("-DSNN_TAPE=0",), ("-DSNN_TOGETHER=1",)


BRANCHES = ("model", "averaged", "recurrent", "hidden_layers", "sizes", "t_ref", "train")
BRANCHES += ("integrator", "disturbed", "in_segments")
FOUND = pairwise(FACTORS)
COMPILED = cover(FOUND, pairs=BRANCHES)


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


@pytest.mark.parametrize("choice", long_but(COMPILED, COMPILED[::8], name_of))
def test_the_gradient_is_that_of_the_steps(choice: Choice) -> None:
    case = problem(
        choice["model"],
        choice["loss"],
        choice["recurrent"],
        choice["hidden_layers"],
        seed=4,
        examples=EXAMPLES,
        t_ref=choice["t_ref"],
        spread=choice["spread"],
        sizes=choice["sizes"],
        parameters={"v_reset": choice["v_reset"]},
    )
    regulariser = REGULARISERS.get(choice["regulariser"])
    spikes = SpikeDerivative(
        surrogate=SURROGATES[choice["surrogate"]], detach_reset=choice["detach"]
    )
    program = program_of(
        case,
        DT,
        train=choice["train"],
        integrator=choice["integrator"],
        regulariser=regulariser,
        strengths=STRENGTHS,
        average_spikes=choice["averaged"],
        spikes=spikes,
        **({"noise": 0.05, "spike_dropout": 0.4} if choice["disturbed"] else {}),
    )
    backend = native(program, flags=SEGMENTS if choice["in_segments"] else ())
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    maps = reference.step_maps(case, DT, choice["integrator"])

    def gradient(e: int, penalty: Callable | None) -> reference.Result:
        return reference_discrete.gradient(
            case,
            DT,
            e,
            reference_discrete.SURROGATES[choice["surrogate"]],
            detach=choice["detach"],
            maps=maps,
            penalty=penalty,
            disturbances=disturbances(program, KEY, e) if choice["disturbed"] else (),
            euler=choice["integrator"] == "euler",
        )

    wanted = plain = [gradient(e, None) for e in range(EXAMPLES)]
    assert all(one.counts[0].sum() > 0 for one in plain)  # else there would be nothing to compare
    if regulariser is not None:
        layers = range(len(case.layers))
        mean = {i: np.mean([one.counts[i] for one in plain], axis=0) for i in layers}
        penalty = penalty_of(regulariser.name, mean if choice["averaged"] else None)
        wanted = [gradient(e, partial(penalty)) for e in range(EXAMPLES)]
    results = backend.gradient(
        data_of(case, DT), np.arange(EXAMPLES), Noise(key=KEY, in_network=choice["disturbed"])
    )
    np.testing.assert_allclose(results.loss, [one.loss for one in wanted], rtol=1e-12)
    assert_close(gradients_of(backend), reference.mean_gradients(wanted), TOLERANCE)


def lif_problem(**more: Any) -> Problem:
    options = {"recurrent": True, "seed": 4, "examples": 6, "sizes": (5, 37, 3), **more}
    return problem("lif", "sum", **options)


def loaded(case: Problem, **more: Any) -> NativeBackend:
    backend = native(program_of(case, DT, spikes=SpikeDerivative(), **more))
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    return backend


def test_a_gradient_does_not_depend_on_who_is_walked_back_beside_it() -> None:
    case = lif_problem()
    backend, data = loaded(case), data_of(case, DT)
    alone = []
    for e in range(6):
        backend.gradient(data, np.array([e]))
        alone.append(gradients_of(backend))
    for batch in (16, 40, 67, 130):  # in 16 slots of 1, 2 to 3, 4 to 5, and 8 to 9 examples
        examples = np.arange(batch) % 6
        backend.gradient(data, examples)
        share = np.bincount(examples) / batch
        for name, array in gradients_of(backend).items():
            wanted = sum(part * one[name] for part, one in zip(share, alone, strict=True))
            assert np.linalg.norm(array - wanted) <= 1e-13 * np.linalg.norm(wanted)


@pytest.mark.parametrize("threads", [1, 3])
def test_bits_do_not_depend_on_how_many_trials_and_states_are_kept(threads: int) -> None:
    case = lif_problem(hidden_layers=2)
    program = program_of(case, DT, spikes=SpikeDerivative())
    data, examples, found = data_of(case, DT), np.arange(43) % 6, []
    for flags in ((), SEGMENTS, ALONE):
        backend = native(
            program, precision="float32", contraction=True, threads=threads, flags=flags
        )
        load_weights(backend, case.weights)
        load_parameters(backend, case)
        backend.gradient(data, examples)
        found.append(gradients_of(backend))
    for name, array in found[0].items():
        assert array.any(), name
        for other in found[1:]:
            np.testing.assert_array_equal(other[name], array)


def test_spikes_and_losses_are_those_of_rule_eventprop() -> None:
    case = lif_problem()
    backend, other, data = loaded(case), native(program_of(case, DT)), data_of(case, DT)
    load_weights(other, case.weights)
    load_parameters(other, case)
    found, wanted = (b.evaluate(data, np.arange(6)) for b in (backend, other))
    np.testing.assert_array_equal(found.neuron_spikes, wanted.neuron_spikes)
    np.testing.assert_array_equal(found.loss, wanted.loss)


def test_the_gradient_by_output_weights_is_that_of_the_loss() -> None:
    """No spike lies between them, so that finite differences of the loss itself must agree."""
    case = lif_problem()
    backend, data, one = loaded(case), data_of(case, DT), np.array([0])
    backend.gradient(data, one)
    slope, weights, h = gradients_of(backend)["hid_to_out"], case.weights["hid_to_out"], 1e-6
    for j, k in ((0, 0), (17, 2), (36, 1)):
        losses = []
        for sign in (1, -1):
            moved = weights.copy()
            moved[j, k] += sign * h
            backend.set("hid_to_out", moved)
            losses.append(backend.evaluate(data, one).loss[0])
        assert slope[j, k] == pytest.approx((losses[0] - losses[1]) / (2 * h), rel=1e-6, abs=1e-9)


def test_neurons_that_never_spike_learn() -> None:
    case = lif_problem(recurrent=False)
    weights = {**case.weights, "in_to_hid": case.weights["in_to_hid"] * 0.05}
    case = replace(case, weights=weights)
    backend, data = loaded(case), data_of(case, DT)
    assert backend.gradient(data, np.arange(6)).neuron_spikes.sum() == 0
    assert np.linalg.norm(gradients_of(backend)["in_to_hid"]) > 0


def test_a_threshold_that_arrivals_reach_is_differentiated() -> None:
    """rule=eventprop refuses it, since such spikes move with the arrival and not with the flow."""
    delta = Neuron(
        name="delta",
        equations="dV/dt = -V / tau_mem",
        input="V",
        threshold="V >= v_thresh",
        reset="V = 0",
        parameters=(TAU_MEM, V_THRESH),
        meaning="arrivals add to the potential",
    )
    with pytest.raises(ModelError, match="no derivative"):
        derive(delta, (), refractory=False)
    dynamics = derive(delta, (), refractory=False, timed=False)
    assert dynamics.jump is None
    step = derive_step_back(delta, (), SpikeDerivative())
    assert step is not None
    assert step.taped == ("V",)


@pytest.mark.long
def test_the_fast_build_differs_by_the_rounding_of_float32() -> None:
    case = lif_problem()
    slow, data = loaded(case), data_of(case, DT)
    program = program_of(case, DT, spikes=SpikeDerivative())
    fast = native(program, precision="float32", contraction=True, threads=2)
    load_weights(fast, case.weights)
    load_parameters(fast, case)
    same = 0
    for e in range(6):
        wanted, found = (b.gradient(data, np.array([e])) for b in (slow, fast))
        if (wanted.neuron_spikes != found.neuron_spikes).any():
            continue  # rounding moved a spike to another step
        same += 1
        gradients = gradients_of(slow)
        for name, array in gradients_of(fast).items():
            length = np.linalg.norm(gradients[name])
            assert np.linalg.norm(array - gradients[name]) <= 1e-4 * length, name
    assert same >= 4
