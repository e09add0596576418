"""Losses that read a part of the trial (LOSS_WINDOW), on GeNN's CPU backend."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from long import long_but
from parity import data_of, genn, gradients_of, load_parameters, load_weights, program_of
from test_parity import assert_close
from test_regression import DT, EXAMPLES, OF_POTENTIALS, TAUS, WINDOW, drawn, wanted

from snnrun.models.losses import LOSSES

pytestmark = pytest.mark.genn
RUN = [n for n in OF_POTENTIALS if n != "mse" and not LOSSES[n].readout.shares]
CASES = [(name, recurrent, False) for name in RUN for recurrent in (False, True)]
CASES += [("max", False, True), ("avg_xentropy", True, True)]


@pytest.mark.parametrize(
    ("loss", "recurrent", "pipeline"),
    long_but(CASES, [("max", False, False), ("avg_xentropy", True, False), ("sum", True, False)]),
)
def test_a_loss_reads_only_its_window(loss: str, recurrent: bool, pipeline: bool) -> None:
    """The seed is one for which a maximum lies where a spike arrives."""
    case = drawn(loss, WINDOW, recurrent=recurrent)
    data = data_of(case, DT)
    made = genn(program_of(case, DT, train=TAUS), [data], pipeline=pipeline, traced=True)
    load_weights(made, case.weights)
    load_parameters(made, case)
    results, every = wanted(case, surrogate=False), np.arange(EXAMPLES)
    whole = reference.gradient(drawn(loss, recurrent=recurrent), DT, 0)
    assert results[0].loss != pytest.approx(whole.loss, rel=1e-5)
    for _ in range(2):  # nothing is left of a trial before
        found = made.gradient(data, every)
        np.testing.assert_allclose(found.loss, [one.loss for one in results], rtol=1e-12)
        np.testing.assert_array_equal(found.prediction, [one.prediction for one in results])
        assert_close(gradients_of(made), reference.mean_gradients(results), 1e-10)
    shown = made.evaluate(data, every)
    np.testing.assert_allclose(shown.loss, [one.loss for one in results], rtol=1e-12)
