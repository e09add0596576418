"""A trial that is recorded: every spike and state, as the reference has them."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from long import long_but
from oracle import problem
from parity import constant, data_of, load_weights, native, program_of

from snnrun.compile.derive import entry_symbol


@pytest.mark.parametrize("layers", long_but([1, 2], [2]))
def test_spikes_and_states_of_a_trial_are_those_of_the_reference_bit_for_bit(layers: int) -> None:
    case = constant(problem("alif", recurrent=True, hidden_layers=layers, seed=2, examples=2))
    program = program_of(case, 0.1, train=())
    backend = native(program)
    load_weights(backend, case.weights)
    data = data_of(case, 0.1)
    maps = reference.step_maps(case, 0.1)
    for layer, (free, _) in enumerate(maps):  # the same rounding of the propagator's entries
        compiled = program.populations[layer]
        states = compiled.dynamics.neuron.states
        for (row, column), _ in np.ndenumerate(free.P[0]):
            entry = compiled.numbers.get(entry_symbol(states[row], states[column]))
            if entry is not None:
                free.P[:, row, column] = entry
    for example in range(2):
        trial = backend.trial(data, example)
        tapes = reference.simulate(case, 0.1, example, maps)
        for layer, tape in enumerate(tapes):
            steps, neurons = np.nonzero(tape.spikes)
            np.testing.assert_array_equal(trial.steps[layer], steps)
            np.testing.assert_array_equal(trial.neurons[layer], neurons)
            for k, state in enumerate(program.populations[layer].dynamics.neuron.states):
                np.testing.assert_array_equal(trial.states[layer][state], tape.stepped[:, k])
        events = sorted(case.events(0.1, example))
        assert list(zip(trial.input_steps, trial.input_channels, strict=True)) == events
