"""From a config to a Network and its initial weights."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snnrun import rules
from snnrun.config import Config, listed
from snnrun.connectivity import Connectivity, Ends, Shape, read, size_of
from snnrun.connectivity.synapses import Synapses, connect, shape_of_target, weight_of_all
from snnrun.errors import ConfigError, did_you_mean
from snnrun.keys.kinds import shown
from snnrun.load import find
from snnrun.models.declare import Neuron
from snnrun.models.losses import BUILT_IN, WINDOW, Loss
from snnrun.models.neurons import NEURON_KEYS, NEURON_TYPES, SPIKING
from snnrun.models.nir import NIR_NEURONS
from snnrun.models.regularisers import REGULARISERS, Regulariser
from snnrun.network.delays import make_delays, read_numbers
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.rules.base import Rule
from snnrun.rules.learning import Learning, Plasticity
from snnrun.schema import KEYS, SCHEMA
from snnrun.schema.checks import ALL_ALIKE
from snnrun.schema.choices import LayerChoice, ProjectionChoice
from snnrun.schema.effect import no_effect
from snnrun.schema.fields import FROZEN, INPUT
from snnrun.streams import drawn, stream

GAMMA_SHAPE = 3.0  # of the distribution of heterogeneous time constants (Perez-Nieves et al. 2021)
SMALLEST_PART = 0.01  # of its start that learning leaves of a parameter that must be positive
HETEROGENEOUS_CEILING = 3.0  # times the mean


def build_network(
    config: Config, n_inputs: int, n_outputs: int, input_shape: Shape = ()
) -> Network:
    """Return the network of ``config`` for a data set of these channels and classes.

    ``input_shape``: of the channels, as (rows, columns, channels of a pixel), where they have one.
    """
    inputs = _input(config, n_inputs, input_shape)
    populations = {inputs.name: inputs}
    layers = []
    choices = config.layers
    for choice in choices:  # in such an order that sources are known, but for loops
        populations[choice.name] = _population(config, choice, n_outputs, populations)
    for choice in choices:
        projections = tuple(_projection(config, p, populations) for p in choice.projections)
        layers.append(Layer(population=populations[choice.name], projections=projections))
    hidden = [n for x in layers[:-1] or layers if (n := x.population.neuron) is not None]
    named = " and ".join(dict.fromkeys(neuron.name for neuron in hidden))
    used = {p.key for neuron in hidden for p in neuron.parameters if p.key}
    why = f"neuron {named} has no parameter that follows it"
    _refuse_unused(config, NEURON_KEYS, used, why)
    if config.TAU_OUTPUT_EPOCH_TRIAL:
        _refuse_equal_taus(layers)
    if config.REWIRE_SILENT:
        _refuse_shared_rewiring(layers[:-1])
    return Network(input=inputs, layers=tuple(layers))


def initial_weights(network: Network, seed: int) -> dict[str, np.ndarray]:
    """Return the weights [P, Q] with which every projection starts.

    They are normally distributed, each projection's from its stream, or those that are given.
    """

    def weights(p: Projection) -> np.ndarray:
        if p.start is not None:
            return p.start
        ends = network.size(p.source), network.size(p.target)
        return p.draw(stream(seed, f"weights {p.name}"), ends)

    return {p.name: weights(p) for p in (*network.projections, *network.feedback)}


def find_loss(config: Config) -> Loss:
    """Return the loss that LOSS_TYPE names: a built-in one or a dotted path."""
    if own := find_rule(config).loss:
        return replace(BUILT_IN[own], keys=())  # they are options of the rule
    loss = find(config.LOSS_TYPE, BUILT_IN, Loss, "LOSS_TYPE")
    # of a built-in loss the schema knows its keys; of a user's own only the loss itself
    of_losses = [
        name
        for name, key in KEYS.items()
        if key.active_if and all(c.key == "LOSS_TYPE" for c in key.active_if)
    ]
    why = f"loss {loss.name} does not name it in its keys ({', '.join(loss.keys) or 'it has none'})"
    window = () if loss.spiking else (WINDOW,)  # in which any loss of potentials may read them
    _refuse_unused(config, of_losses, (*loss.keys, *window), why)
    return loss


def window_of(config: Config) -> tuple[int, int] | None:
    """Return the steps that LOSS_WINDOW names, as of Program; None for the whole trial."""
    if config.LOSS_WINDOW is None:
        return None
    first, last = (round(edge / config.DT_MS) for edge in config.LOSS_WINDOW)
    return None if (first, last) == (0, config.steps) else (first, last)


def _refuse_unused(config: Config, names: Sequence[str], used: Collection[str], why: str) -> None:
    """Raise ConfigError for those of the keys ``names`` that were set and are not ``used``."""
    usual = {name: SCHEMA[name].default_of(config.dataset.name) for name in names}
    wrong = [
        no_effect(name, config.get(name), usual[name], f", as {why}")
        for name in names
        if name not in used and config.get(name) != usual[name]
    ]
    if wrong:
        raise ConfigError(listed(wrong, "in the configuration"), wrong)


def find_regulariser(config: Config) -> tuple[Regulariser | None, dict[str, float]]:
    """Return the regulariser that REG_TYPE names, or None, and the values of the keys it uses."""
    regulariser = REGULARISERS.get(config.REG_TYPE)
    if regulariser is None:
        return None, {}
    keys = (*regulariser.keys, "TAU_MEM")
    return regulariser, {key: float(getattr(config, key)) for key in keys}


def find_rule(config: Config) -> Rule:
    """Return the learning rule of ``config``: a built-in one or a dotted path."""
    return rules.find_rule(config.rule.name)


def find_learning(config: Config) -> Learning:
    """Return how the network learns, but for projections that have plasticity of their own."""
    return find_rule(config).gradient.bind(config.rule)


def find_neuron(name: str, key: str) -> tuple[Neuron, tuple[str, ...]]:
    """Return a built-in or user's neuron, and which of its parameters are heterogeneous."""
    if name in NEURON_TYPES:
        return NEURON_TYPES[name]
    if name in NIR_NEURONS:
        return NIR_NEURONS[name], ()
    return find(name, {}, Neuron, key), ()


def _input(config: Config, size: int, shape: Shape) -> Population:
    """Return the input, with the shape that network.populations or the data give to it."""
    given = config.graph.input.fields
    if given.get("size", size) != size:
        told = f"shape {shown(given['shape'])}, which is " if "shape" in given else ""
        file = config.network.get("file")
        where = f"network.file={file}" if file else "network.populations"
        what = "take data of as many" if file else f"give a shape of {size} channels"
        raise ConfigError(
            f"{where}: input has {told}{given['size']} channels, and the data have {size}; {what}"
        )
    shape = given.get("shape", shape)
    return Population(name=INPUT, size=size, values={}, floors={}, grid=shape)


def _projection(
    config: Config, choice: ProjectionChoice, populations: Mapping[str, Population]
) -> Projection:
    where = _place(choice)
    kind = _connectivity(choice)
    source, target = populations[choice.source], populations[choice.target]
    ends = Ends(
        pre=source.size,
        post=target.size,
        source=source.grid,
        target=target.grid,
        same=source is target,
    )
    synapses = connect(kind, ends, stream(config.MODEL_SEED, f"synapses {choice.name}"), where)
    fixed = weight_of_all(kind, ends, where)
    learning = None
    if choice.rule != FROZEN and fixed is None:
        learning = rules.find_rule(choice.rule, f"rule of projection {choice.name}").bind(
            config.rule
        )
    mean, std = (choice.mean, choice.std) if fixed is None else (fixed, 0.0)
    mean, std, bounds = (learning or Learning()).start(source.size, mean, std)
    if choice.sign:
        bounds = (0.0, math.inf) if choice.sign > 0 else (-math.inf, 0.0)
    start = _start_of(choice, ends, synapses, bounds)
    if start is not None:
        mean, std = float(np.mean(start)), float(np.std(start))
    delays = None
    if choice.delay is not None:
        delays = make_delays(
            choice.delay,
            (source.size, target.size),
            stream(config.MODEL_SEED, f"delays {choice.name}"),
            f"{where}.delay",
            config.TRIAL_MS,
        )
    return Projection(
        name=choice.name,
        source=source.name,
        target=target.name,
        mean=mean,
        std=std,
        trained=learning is not None,
        rule=choice.rule if fixed is None else FROZEN,
        plastic=learning if isinstance(learning, Plasticity) else None,
        bounds=bounds,
        sign=choice.sign,
        kind=kind,
        synapses=synapses,
        port=choice.port,
        delays=delays,
        dropout=choice.dropout,
        start=start,
    )


def _start_of(
    choice: ProjectionChoice, ends: Ends, synapses: Synapses | None, bounds: tuple[float, float]
) -> np.ndarray | None:
    """Return the weights with which a projection starts, None where they are drawn."""
    if choice.weights is None:
        return None
    where = f"{_place(choice)}.weights"
    given = choice.weights
    weights = read_numbers(Path(given).expanduser(), where) if isinstance(given, str) else given
    wanted = (ends.pre, ends.post) if synapses is None else synapses.weights
    if weights.shape != wanted:
        raise ConfigError(
            f"{where}: has the shape {shown(weights.shape)}; these synapses have weights "
            f"{shown(wanted)}"
        )
    if not (np.isfinite(weights).all() and (weights == np.clip(weights, *bounds)).all()):
        raise ConfigError(f"{where}: weights must be numbers from {bounds[0]:g} to {bounds[1]:g}")
    if synapses is None or synapses.shared:
        return weights
    return np.where(synapses.mask, weights, 0.0)


def _place(choice: ProjectionChoice) -> str:
    return choice.place or f"projection {choice.name}"


def _connectivity(choice: ProjectionChoice) -> Connectivity:
    return read(choice.connectivity, f"{_place(choice)}.connectivity")


def _shape(choice: LayerChoice, size: int, before: Mapping[str, Population]) -> Shape:
    """Return the shape of a population: its own, or what a connection of it makes.

    ``before``: populations from which its connections may lead, by name.
    """
    if choice.shape:
        return choice.shape
    for projection in choice.projections:
        kind = _connectivity(projection)
        if kind.target is None or projection.source not in before:
            continue
        source, post = before[projection.source], size if choice.sized else 0
        ends = Ends(pre=source.size, post=post, source=source.grid)
        return shape_of_target(kind, ends, _place(projection))
    return ()


def _population(
    config: Config, choice: LayerChoice, n_outputs: int, before: Mapping[str, Population]
) -> Population:
    neuron, heterogeneous = _neuron_of(config, choice)
    shape = _shape(choice, choice.size or n_outputs, before)
    if choice.outputs not in (None, n_outputs):
        raise ConfigError(
            f"network.file={config.network.get('file')}: has {choice.outputs} outputs, and the "
            f"data have {n_outputs} classes; take data of as many"
        )
    name, size = choice.name, size_of(shape) if shape else choice.size or n_outputs
    floors = {p.name: getattr(config, p.floor_key) for p in neuron.parameters if p.floor_key}
    values = _values(config, choice, neuron, size)
    for parameter_name in heterogeneous:
        if np.ndim(values[parameter_name]) == 0:  # not given for each neuron
            values[parameter_name] = _gamma(
                float(values[parameter_name]),
                floors[parameter_name],
                size,
                config.MODEL_SEED,
                f"{parameter_name} {name}",
            )
    trained = tuple(p.name for p in neuron.parameters if p.floor_key) if choice.train_tau else ()
    hidden = choice.size is not None
    trained += _also_trained(config, neuron, trained, "hidden" if hidden else "output")
    for parameter_name in trained:
        p = neuron.parameter(parameter_name)
        if parameter_name not in floors and (p.positive or p.low > -math.inf):
            start = float(np.min(values[parameter_name]))
            floors[parameter_name] = SMALLEST_PART * start if p.positive else p.low
    noise, spike_dropout = (config.HIDDEN_NOISE, config.PDROP_HIDDEN) if hidden else (0.0, 0.0)
    return Population(
        name=name,
        size=size,
        neuron=neuron,
        values=values,
        trained=trained,
        floors=floors,
        noise=noise,
        spike_dropout=spike_dropout,
        grid=shape,
    )


def _values(
    config: Config, choice: LayerChoice, neuron: Neuron, size: int
) -> dict[str, float | np.ndarray]:
    """Return the parameters of a population as they are given: each a number or one per neuron."""
    own: Mapping[str, Any] = choice.parameters
    known = [p.name for p in neuron.parameters]
    for given in own:
        if given not in known:
            raise ConfigError(
                f"{choice.parameters_by}.{given}: neuron {neuron.name} has no such parameter."
                f"{did_you_mean(given, known)} It has: {', '.join(known)}"
            )
    values: dict[str, float | np.ndarray] = {}
    for p in neuron.parameters:
        value = own.get(p.name, getattr(config, p.key) if p.key else p.default)
        if isinstance(value, Mapping):
            random = stream(config.MODEL_SEED, f"{p.name} {choice.name}")
            value = drawn(value, random, (size,))
        values[p.name] = value if np.ndim(value) == 0 else np.asarray(value, float)
    return values


def _also_trained(
    config: Config, neuron: Neuron, known: tuple[str, ...], role: str
) -> tuple[str, ...]:
    """Return the parameters of network.hidden_trained, or of the output's, that are not ``known``.

    ``role``: hidden or output.
    """
    wanted = tuple(dict.fromkeys(getattr(config.network, f"{role}_trained")))
    allowed = neuron.trainable
    for name in wanted:
        if name not in allowed:
            raise ConfigError(
                f"network.{role}_trained={name}: neuron {neuron.name} has no parameter of this "
                f"name that can be trained.{did_you_mean(name, allowed)} It has: "
                f"{', '.join(allowed)}"
            )
    return tuple(name for name in wanted if name not in known)


def _refuse_equal_taus(layers: Sequence[Layer]) -> None:
    """Raise ConfigError where TAU_OUTPUT_EPOCH_TRIAL would find nothing to record."""
    for layer in layers:
        neuron = layer.population.neuron
        assert neuron is not None
        if any(neuron.parameter(name).unit == "ms" for name in layer.population.per_neuron):
            return
    raise ConfigError(f"TAU_OUTPUT_EPOCH_TRIAL: {ALL_ALIKE}")


def _refuse_shared_rewiring(hidden: Sequence[Layer]) -> None:
    """Raise ConfigError where a silent neuron has no weights of its own."""
    for layer in hidden:
        synapses = layer.forward.synapses
        if synapses is not None and synapses.shared:
            raise ConfigError(
                f"REWIRE_SILENT=true: neurons of {layer.population.name} share the weights of "
                f"projection {layer.forward.name}, so that a silent one cannot get new ones; leave "
                "it out"
            )


def _neuron_of(config: Config, choice: LayerChoice) -> tuple[Neuron, tuple[str, ...]]:
    """Return the neuron of a population; losses on spike times need outputs that spike."""
    neuron, heterogeneous = find_neuron(choice.neuron, choice.asked_by)
    hidden = choice.size is not None
    if hidden or not find_loss(config).spiking or neuron.threshold is not None:
        return neuron, heterogeneous
    return SPIKING.get(neuron.name, neuron), heterogeneous


def _gamma(mean: float, floor: float, size: int, seed: int, name: str) -> np.ndarray:
    draw = stream(seed, name).gamma(GAMMA_SHAPE, mean / GAMMA_SHAPE, size)
    return np.clip(draw, floor, HETEROGENEOUS_CEILING * mean)
