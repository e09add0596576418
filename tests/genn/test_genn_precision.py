"""GeNN in float32 keeps the digits that its numbers have; see tests/test_precision.py."""

from __future__ import annotations

import numpy as np
import pytest
from parity import genn
from test_precision import assert_digits_kept, made, rounded

from snnrun.backends.interpreter.backend import NumpyBackend

pytestmark = pytest.mark.genn


@pytest.mark.parametrize(("loss", "most"), [("sum", 3.0), ("avg_xentropy", 4.0)])
def test_what_is_left_to_learn_from_an_example_that_is_right_keeps_its_digits(
    loss: str, most: float
) -> None:
    program, data, weights = made(LOSS_TYPE=loss, LOSS_WINDOW=[15.0, 30.0])
    backends = NumpyBackend(program), genn(program, [data], precision="float32")
    losses = []
    for factor in (1.5, most):
        outputs = np.array(weights["hid_to_out"])
        outputs[:, int(data.labels[0])] *= factor
        more = {"in_to_hid": rounded(weights["in_to_hid"] * 3), "hid_to_out": rounded(outputs)}
        losses.append(assert_digits_kept(backends, data, more))
    assert losses[0] > 1e-4
    assert losses[1] < 1e-7
