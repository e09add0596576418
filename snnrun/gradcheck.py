"""`snnrun gradcheck`: the gradients of a configuration against an exact event-driven simulation.

Neurons, parameters, loss, populations, projections with their connectivity and ports, refractory
period, what is trained and the integrator are the configuration's. The network is small and its
trial short, so that a check takes seconds: populations have few neurons, listed or sparse synapses
are half of all, and delays are drawn to fit. The input is random.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnrun.backends.interpreter.halving import halved
from snnrun.config import Config, Options
from snnrun.connectivity import read
from snnrun.connectivity.convolution import CONV1D
from snnrun.connectivity.lists import LIST, SPARSE
from snnrun.errors import ConfigError, ModelError, NumericalError
from snnrun.keys.kinds import shown
from snnrun.models.declare import Neuron
from snnrun.network.build import build_network, find_loss, find_rule
from snnrun.network.delays import Delays
from snnrun.network.network import Layer, Network, Projection
from snnrun.schema.delays import delay_choice
from snnrun.schema.fields import INPUT, OUTPUT
from snnrun.testing.comparison import LIMIT, Comparison, compare
from snnrun.testing.equations import Array
from snnrun.testing.exact import Problem
from snnrun.testing.grid import BuildOptions
from snnrun.testing.networks import CANDIDATES, DURATION, STEPS
from snnrun.testing.problems import (
    EVENTS,
    GAINS,
    Draw,
    Scale,
    draw_weights,
    input_events,
    natural_draws,
    ranked,
    scale_of,
    time_scale,
    with_delays,
)

CHANNELS, HIDDEN, OUTPUTS, LABEL = 6, 5, 3, 1
SIDES, DEPTH = (3, 4, 5, 6, 8, 10, 12), 1  # of an input with a shape, and its channels
DELAYED = 0.25  # of the trial, the longest delay
LEFT_OUT = {  # keys that a check does without
    "LOSS_WINDOW": "the trial is a short one, and all of it counts",
    "REG_TYPE": "its push is no derivative of the loss",
}
LONGEST_DELAY = 1e3  # ms, where a configuration does not say it


def check_gradients(config: Config, steps: Sequence[float] = STEPS) -> bool:
    """Print a table of differences, and return whether they vanish as the step does.

    Args:
        config: What to check.
        steps: Steps of the grid, the coarsest first, in ms where the shortest time constant is
            5 ms, others in proportion.

    Raises:
        ConfigError: Nothing is trained, or the rule has no gradient that differences approach.
        ModelError: The rule or the exact simulation cannot treat the neuron, or no weights make it
            spike.
        BuildError: The program cannot be compiled.
        NumericalError: Weights of a projection have no influence, and there is nothing to compare.
    """
    rule = find_rule(config)
    if not rule.gradient.engine.has_gradient:
        raise ConfigError(
            f"rule={config.rule.name}: follows the gradient of no loss that could be compared with "
            "finite differences; snnrun gradcheck is for rule=eventprop"
        )
    if rule.discrete:
        raise ConfigError(
            f"rule={rule.name}: its gradients differ from the loss's slope by design, since "
            "surrogates stand for the derivative of spikes, so finite differences cannot check "
            "them; use rule=eventprop"
        )
    if file := config.network.get("file"):
        raise ConfigError(
            f"network.file={file}: gradients are checked on networks of a few neurons, and the "
            "file says how many there are; check its kind of neuron with HIDDEN_NEURON_TYPE=LIF"
        )
    network = _small_network(config)
    loss = find_loss(config)
    scale = time_scale([model for layer in network.layers for model in _models(layer)])
    dts, duration = tuple(dt * scale for dt in steps), DURATION * scale
    longest = min(duration * DELAYED, max((d.most for d in _delays(network)), default=0.0))
    network = with_delays(network, longest, config.MODEL_SEED)
    problem = Problem(
        network=network,
        weights={},
        loss=loss,
        loss_values={key: float(getattr(config, key)) for key in loss.keys},
        times=np.empty(0),
        channels=np.empty(0, int),
        label=LABEL,
        duration=duration,
    )
    scales = [_scale(layer, duration) for layer in network.layers]
    _show_problem(problem, config, longest)
    problem, candidates = _with_spikes(config, problem, scales, dts)
    comparison = compare(
        problem, candidates, scales, dts, config.network.integrator, _options(config)
    )
    _show(comparison, config)
    _show_step(comparison, config)
    if comparison.agrees and comparison.vacuous:
        raise NumericalError(
            "the gradients agree, but those of some projections could not be compared; try another "
            "MODEL_SEED, or a loss to which every spike matters, such as LOSS_TYPE=sum"
        )
    return comparison.passed


def _show_problem(problem: Problem, config: Config, longest: float) -> None:
    """Print what is checked, and what of the configuration is not; ``longest``: of the delays."""
    network, loss = problem.network, problem.loss
    print(
        f"{network.shape} of {', '.join(_names(network))}; loss {loss.name}; integrator "
        f"{config.network.integrator}; {problem.duration:g} ms; MODEL_SEED={config.MODEL_SEED}"
    )
    if config.HIDDEN_NOISE or config.PDROP_HIDDEN:
        print("without HIDDEN_NOISE and PDROP_HIDDEN: the exact simulation draws nothing")
    if _delays(network):
        print(
            f"delays: drawn anew, up to {longest:g} ms, so that spikes arrive in so short a trial"
        )
    if loss.readout.courses:
        print("target courses: sinusoids, one for each output")
    for key, why in LEFT_OUT.items():
        if (value := config.get(key)) not in (None, "none"):
            print(f"without {key}={shown(value)}: {why}")


def _small_network(config: Config) -> Network:
    """Return the configuration's network with few neurons; per-neuron values are cut to fit."""
    network = _without_plasticity(_built_small(config))
    trains = any(p.trained for p in network.populations)
    trains = trains or any(p.trained for p in network.projections)
    if not (trains or any(delays.trained for delays in _delays(network))):
        raise ConfigError(
            "TRAIN_W=false, and neither TRAIN_TAU nor TRAIN_TAU_OUTPUT is true: nothing is "
            "trained, so there are no gradients to check"
            if not config.TRAIN_W
            else "no projection and no time constant learns by gradients: there are none to check"
        )
    return network


def _built_small(config: Config) -> Network:
    """Return the network as it is built; with shapes, on the first of SIDES that kernels fit."""
    axes = _axes(config)
    if not axes:
        return build_network(_small(config, ()), CHANNELS, OUTPUTS)
    refused: list[ConfigError | ModelError] = []
    for side in SIDES:
        shape = (*[side] * axes, DEPTH)
        try:
            return build_network(_small(config, shape), math.prod(shape), OUTPUTS, shape)
        except (ConfigError, ModelError) as error:
            refused.append(error)
    raise refused[-1]


def _axes(config: Config) -> int:
    """Return how many axes populations need beside that of channels; 0: no projection has kernels.

    Without kernels, shapes are left out.
    """
    projections = [p for layer in config.layers for p in layer.projections]
    kinds = [read(p.connectivity, p.place) for p in projections]
    if not any(kind.target is not None for kind in kinds):
        return 0
    shapes = [layer.shape for layer in config.layers if layer.shape]
    return len(shapes[0]) - 1 if shapes else 1 if CONV1D.name in [k.name for k in kinds] else 2


def _small(config: Config, shape: tuple[int, ...]) -> Config:
    """Return the configuration with few neurons; ``shape``: of the input, where one is needed."""
    network = config.network
    own: dict[str, Any] = {
        name: _cut(network.get(name) or {}, size)
        for name, size in (("hidden_parameters", HIDDEN), ("output_parameters", OUTPUTS))
    }
    for key in ("layers", "populations"):
        parts = [part for part in network.get(key) or () if part.get("name") != INPUT]
        own[key] = tuple(_small_part(part, shape) for part in parts)
    projections = network.get("projections") or ()
    own["projections"] = tuple(map(_small_projection, projections))
    group = Options({name: network.get(name) for name in network} | own)
    return Config({k: config.get(k) for k in config} | {"NUM_HIDDEN": HIDDEN, "network": group})


def _without_plasticity(network: Network) -> Network:
    """Return the network with what learns by a plasticity, which has no gradient, as it is."""

    def fixed(projection: Projection) -> Projection:
        plain = replace(projection, trained=False, plastic=None)
        return plain if projection.plastic else projection

    layers = tuple(replace(x, projections=tuple(map(fixed, x.projections))) for x in network.layers)
    return replace(network, layers=layers)


def _cut(parameters: Mapping[str, Any], size: int) -> dict[str, Any]:
    return {k: np.resize(v, size) if np.ndim(v) else v for k, v in parameters.items()}


def _small_part(fields: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return a layer or population with few neurons; one with a shape is as wide as the input."""
    last = fields.get("name") == OUTPUT
    small = {name: value for name, value in fields.items() if name not in ("size", "shape")}
    if shape and "shape" in fields:
        small["shape"] = (*shape[:-1], fields["shape"][-1])
        small["size"] = math.prod(small["shape"])
    elif not last and ("size" in fields or not shape):
        small["size"] = HIDDEN
    if "parameters" in fields:
        small["parameters"] = _cut(fields["parameters"], OUTPUTS if last else HIDDEN)
    for part in ("forward", "recurrent"):
        if isinstance(fields.get(part), Mapping):
            small[part] = _small_projection(fields[part])
    return small


def _small_projection(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a projection whose synapses and delays fit few neurons."""
    small, connectivity = dict(fields), fields.get("connectivity")
    small.pop("weights", None)  # of more neurons
    if isinstance(connectivity, Mapping) and connectivity["kind"] in (LIST.name, SPARSE.name):
        small["connectivity"] = {"kind": SPARSE.name, "probability": 0.5}
    if (delay := delay_choice(fields.get("delay"))) is not None:
        most = LONGEST_DELAY if delay.longest is None else delay.longest
        small["delay"] = {"kind": delay.kind, "start": 0.0, "max": most, "train": delay.trained}
    return small


def _with_spikes(
    config: Config, problem: Problem, scales: Sequence[Scale], dts: Sequence[float]
) -> tuple[Problem, Mapping[str, Array]]:
    """Return the problem with input events, and candidates for its weights that make it spike.

    The configuration's weights are kept if a few events per channel do with them, as they are made
    for networks of another size.
    """
    network, seed = problem.network, config.MODEL_SEED

    def with_events(events: int) -> Problem:
        times, channels = input_events(network.input.size, problem.duration, dts[0], seed, events)
        return replace(problem, times=times, channels=channels)

    draws = {p.name: Draw(mean=p.mean, std=p.std) for p in network.projections}
    drawn = draw_weights(network, draws, CANDIDATES, seed)
    for events in (EVENTS, 3, 1):
        spiking = with_events(events)
        if ranked(spiking, drawn, scales, gap=dts[-1]):
            print(f"weights as the configuration draws them; {events} input events per channel")
            return spiking, drawn
    natural = natural_draws(network, scales)
    print("weights: those of the configuration make too few spikes in so small a network, or too")
    print("many; drawn instead from")
    for name, new in natural.items():
        old = draws[name]
        print(
            f"  {name}: mean {new.mean:.3g}, deviation {new.std:.3g} "
            f"(configuration: {old.mean:.3g}, {old.std:.3g})"
        )
    return with_events(EVENTS), draw_weights(network, natural, CANDIDATES, seed, GAINS)


def _show(comparison: Comparison, config: Config) -> None:
    layers = comparison.problem.network.layers
    spikes = [
        f"{layer.population.name} {count.sum()}"
        for layer, count in zip(layers, comparison.exact.counts, strict=True)
        if layer.population.neuron is not None and layer.population.neuron.threshold is not None
    ]
    print(f"spikes: {', '.join(spikes)}")
    print(f"gradients of backend {config.backend.name} in float64: relative difference from finite")
    print("differences of an exact event-driven simulation, for steps in ms")
    print("\n".join(comparison.lines()))
    if comparison.passed:
        print(f"passed: the differences vanish with the step, and end below {LIMIT:g}")
    elif not comparison.agrees:
        print(f"FAILED: not every difference falls with the step to below {LIMIT:g}")


def _show_step(comparison: Comparison, config: Config) -> None:
    """Compare the step of the configuration with half steps, for neurons that are not linear."""
    program, names = comparison.grids[0].backend.program, _names(comparison.problem.network)
    dt, integrator = config.DT_MS, config.network.integrator
    for index, name in enumerate(names):
        if halves := halved(program, index, dt, integrator):
            verdict = "too long" if halves.too_long else "short enough"
            print(f"DT_MS={dt:g} is {verdict} for {name}: {halves}")


def _models(layer: Layer) -> list[tuple[Neuron, dict[str, float]]]:
    """Return every neuron of a layer with its parameters."""
    population = layer.population
    assert population.neuron is not None
    n = population.size
    columns = {name: np.broadcast_to(v, n) for name, v in population.values.items()}
    return [
        (population.neuron, {name: float(v[j]) for name, v in columns.items()}) for j in range(n)
    ]


def _scale(layer: Layer, duration: float) -> Scale:
    """Return the scale of a layer's neuron with the mean of its parameters."""
    neuron, *_ = _models(layer)[0]
    means = {name: float(np.mean(v)) for name, v in layer.population.values.items()}
    return scale_of(neuron, means, duration)


def _options(config: Config) -> BuildOptions:
    backend = config.backend
    return BuildOptions(
        backend=backend.name,
        device=backend.device,
        compiler=backend.compiler,
        cache=backend.cache_dir,
        flags=tuple(backend.flags),
        only_cached=not config.BUILD,
    )


def _delays(network: Network) -> list[Delays]:
    return [p.delays for p in network.projections if p.delays is not None]


def _names(network: Network) -> list[str]:
    return [x.population.neuron.name for x in network.layers if x.population.neuron is not None]
