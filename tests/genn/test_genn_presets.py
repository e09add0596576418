"""Every preset: its gradient with GeNN is that of the native backend, from identical weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import test_presets
from parity import genn, gradients_of, native
from test_presets import PRESETS, assert_trained, preset

from snnrun.backends.base import Backend
from snnrun.compile.steps import Steps
from snnrun.datasets import load
from snnrun.datasets.recipe import recipe_of
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import ConfigError
from snnrun.models.equations import symbol
from snnrun.network.build import initial_weights
from snnrun.run import build_program, train

pytestmark = pytest.mark.genn
BATCH = 8
# Rounding of float32, 1.2e-7, is magnified by S / D at flat crossings; of float64 likewise.
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


folders, own_cache = test_presets.folders, test_presets.own_cache  # fixtures


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", PRESETS)
def test_gradients_of_a_preset_are_those_of_the_native_backend(
    name: str, precision: str, folders: dict[str, Path]
) -> None:
    config = preset(name, folders)
    if config.rule.name != "eventprop":
        pytest.skip("its rule is compared elsewhere")
    splits = load(config)
    program, recipe = build_program(config, splits), recipe_of(config, splits, splits.train)
    data = splits.train.data
    if recipe.changing:  # delayed copies of the inputs among them
        shown = recipe.shown(0)
        data = recipe.prepared(0, shown.numbers[:BATCH], shown.labels[:BATCH])
    room = 300 if config.dataset.name in ("yinyang", "mnist", "smnist") else 1500
    backends = [
        native(program, precision=precision, contraction=False),
        genn(program, [data], precision=precision, spikes=room),
    ]
    for backend in backends:
        for weights_name, weights in initial_weights(program.network, config.MODEL_SEED).items():
            backend.set(weights_name, weights)
    order = np.arange(min(BATCH, len(data)))
    same = [e for e in order if same_spikes(*backends, data, int(e))]
    assert len(same) >= len(order) / 2 if precision == "float32" else same == list(order)
    results = [backend.gradient(data, np.array(same)) for backend in backends]
    np.testing.assert_allclose(results[1].loss, results[0].loss, rtol=1e-4, atol=1e-5)
    wanted, found = (gradients_of(backend) for backend in backends)
    for key, array in found.items():
        length = np.linalg.norm(wanted[key])
        assert np.linalg.norm(array - wanted[key]) <= TOLERANCE[precision] * length, key


def same_spikes(one: Backend, other: Backend, data: SpikeData, example: int) -> bool:
    """Return whether both backends emit the same spikes.

    Where they do not, the first spike that only one of them emits must be a matter of rounding: the
    potential was on the threshold, up to a few hundred roundings of float32.
    """
    trials = [backend.trial(data, example) for backend in (one, other)]
    spikes = [
        {
            (int(step), layer, int(neuron))
            for layer, (steps, neurons) in enumerate(zip(t.steps, t.neurons, strict=True))
            for step, neuron in zip(steps, neurons, strict=True)
        }
        for t in trials
    ]
    if spikes[0] == spikes[1]:
        return True
    step, layer, neuron = min(spikes[0] ^ spikes[1])
    compiled = one.program.populations[layer]
    values = {symbol(s): float(x[step, neuron]) for s, x in trials[0].states[layer].items()}
    steps = Steps(compiled)
    distance = values[steps.threshold_state] - float(compiled.fold(steps.threshold.subs(values)))
    assert abs(distance) < 1e-4, (step, layer, neuron, distance)
    return False


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_with_genn_or_is_refused_for_its_rule(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    words = ("backend=genn", "backend.device=single_threaded_cpu")
    rule = preset(name, folders).rule.name
    if rule not in ("eventprop", "superspike"):
        with pytest.raises(ConfigError, match=f"rule={rule}: backend genn cannot run it"):
            preset(name, folders, *words)
        return
    config = preset(name, folders, *words)
    train(config, tmp_path)
    assert_trained(config, tmp_path)
