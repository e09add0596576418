"""The scores of classes, from single trials, are those that the backends' losses are made of."""

from __future__ import annotations

import numpy as np
import pytest
from long import long_but
from oracle import problem
from parity import data_of, load_parameters, load_weights, native, program_of

from snnrun.backends.base import Backend
from snnrun.compile.loss import bind_loss
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import ConfigError
from snnrun.interface.scores import Scores
from snnrun.models.losses import LOSSES, Readout
from snnrun.models.surrogates import SpikeDerivative

DT, EXAMPLES = 0.1, 3
SOME = ("max", "first_spike")


def loaded(loss: str) -> tuple[Backend, SpikeData]:
    case = problem(loss=loss, examples=EXAMPLES, seed=3)
    data = data_of(case, DT)
    backend = native(program_of(case, DT))
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    return backend, data


@pytest.mark.parametrize("name", long_but(LOSSES, SOME))
def test_scores_give_the_prediction_and_the_loss_of_the_backend(name: str) -> None:
    backend, data = loaded(name)
    scores, bound = Scores(backend.program), bind_loss(backend.program)
    for example in range(EXAMPLES):
        trial, label = backend.trial(data, example), data.labels[[example]]
        found = scores.of(trial)
        assert found.shape == (data.n_classes,)
        assert trial.prediction == found.argmax()
        y = scores.readout(trial)
        latest = backend.program.duration if LOSSES[name].spiking else np.inf
        if LOSSES[name].readout is Readout.EACH_STEP:
            loss = bound.values(y, np.repeat(label, len(y))).mean()
            assert found.sum() == pytest.approx(1.0)
        else:
            loss = bound.values(y[None], label, latest)[0]
        # potentials come back in the precision of the build, float64 here
        assert loss == pytest.approx(trial.loss, rel=1e-12)


def test_outputs_that_learn_target_spikes_have_no_scores() -> None:
    case = problem(loss="van_rossum", examples=1, seed=3)
    with pytest.raises(ConfigError, match="there are no classes"):
        Scores(program_of(case, DT, spikes=SpikeDerivative()))
