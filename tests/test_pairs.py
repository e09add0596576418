"""Every pair of choices that can meet in a network gives the gradient of tests/reference.py.

Neurons, losses, regularisers and options are combined so that any two values of two factors are
together in at least one program; float64, a mini-batch of three examples. All of them run on
backend numpy, in test_interpreter.py. Here, with a compiler, are those that hold every value, and
any two of what the runtime's code branches by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import reference
from draws import disturbances
from long import long_but
from oracle import problem
from pairwise import cover, pairwise
from parity import (
    LARGE,
    TAUS,
    data_of,
    gradients_of,
    load_parameters,
    load_weights,
    native,
    program_of,
)
from test_parity import assert_close
from test_regularisers import STRENGTHS, push_of

from snnrun.backends.base import Noise
from snnrun.models.losses import LOSSES
from snnrun.models.regularisers import REGULARISERS

DT, EXAMPLES, KEY = 0.1, 3, 2**63 + 77
Choice = Mapping[str, Any]
FACTORS: dict[str, tuple[Any, ...]] = {
    "model": ("lif", "lif_subtract", "alif"),
    "loss": tuple(LOSSES),
    "regulariser": ("none", *REGULARISERS),
    "averaged": (False, True),
    "recurrent": (False, True),
    "hidden_layers": (1, 2),
    "t_ref": (0.0, 1.0),  # ms
    "spread": (0.0, 0.1),  # 0: constants; else parameters differ between neurons, as in hetLIF
    "train": ((), TAUS),
    "v_reset": (0.0, -0.3),
    "integrator": ("exact", "euler"),
    "disturbed": (False, True),  # noise, and spikes that are held back
    "large": (False, True),
}


BRANCHES = ("model", "averaged", "recurrent", "hidden_layers", "t_ref", "train", "integrator")
BRANCHES += ("disturbed", "large")
FOUND = pairwise(FACTORS)
COMPILED = cover(FOUND, pairs=BRANCHES)


def name_of(choice: Choice) -> str:
    return "-".join(str(choice[name]) for name in FACTORS)


@pytest.mark.parametrize("choice", long_but(COMPILED, COMPILED[::6], name_of))
def test_the_gradient_is_that_of_the_reference(choice: Choice) -> None:
    case = problem(
        choice["model"],
        choice["loss"],
        choice["recurrent"],
        choice["hidden_layers"],
        seed=4,
        examples=EXAMPLES,
        t_ref=choice["t_ref"],
        spread=choice["spread"],
        parameters={"v_reset": choice["v_reset"]},
    )
    regulariser = REGULARISERS.get(choice["regulariser"])
    program = program_of(
        case,
        DT,
        train=choice["train"],
        integrator=choice["integrator"],
        regulariser=regulariser,
        strengths=STRENGTHS,
        average_spikes=choice["averaged"],
        **({"noise": 0.05, "spike_dropout": 0.4} if choice["disturbed"] else {}),
    )
    backend = native(program, flags=LARGE if choice["large"] else ())
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    maps = reference.step_maps(case, DT, choice["integrator"])
    drawn = [disturbances(program, KEY, e) if choice["disturbed"] else () for e in range(EXAMPLES)]

    def gradient(e: int, push: Callable[[np.ndarray], np.ndarray] | None) -> reference.Result:
        euler = choice["integrator"] == "euler"
        return reference.gradient(case, DT, e, maps, push, drawn[e], euler)

    plain = [gradient(e, None) for e in range(EXAMPLES)]
    assert all(one.counts[0].sum() > 0 for one in plain)  # else there would be nothing to compare
    wanted = plain
    if regulariser is not None:
        push = push_of(regulariser.name, choice["loss"])
        mean = [np.mean([one.counts[i] for one in plain], axis=0) for i in range(len(case.layers))]

        def seen(e: int, own: np.ndarray) -> np.ndarray:
            if not choice["averaged"]:
                return push(own)
            hidden = plain[e].counts[:-1]
            (layer,) = [i for i, counts in enumerate(hidden) if np.array_equal(counts, own)]
            return push(mean[layer])

        wanted = [gradient(e, partial(seen, e)) for e in range(EXAMPLES)]
    data = data_of(case, DT)
    results = backend.gradient(
        data, np.arange(EXAMPLES), Noise(key=KEY, in_network=choice["disturbed"])
    )
    np.testing.assert_allclose(results.loss, [one.loss for one in wanted], rtol=1e-12)
    assert_close(gradients_of(backend), reference.mean_gradients(wanted))
