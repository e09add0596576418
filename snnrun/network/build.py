"""From a config to a Network and its initial weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snnrun.config import Config
from snnrun.errors import ConfigError, did_you_mean
from snnrun.load import load_object
from snnrun.models.declare import Neuron
from snnrun.models.losses import LOSSES, Loss
from snnrun.models.neurons import NEURON_TYPES
from snnrun.models.regularisers import REGULARISERS, Regulariser
from snnrun.models.rules import RULES, Rule
from snnrun.models.surrogates import KEYS as SURROGATE_KEYS
from snnrun.models.surrogates import SURROGATES, SpikeDerivative, Surrogate
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.schema import SCHEMA
from snnrun.schema.recordable import ALL_ALIKE
from snnrun.streams import stream

NEURON_KEYS = ("TAU_B", "B_INCR", "B_INIT", "TAU_REF")  # of some neurons only
GAMMA_SHAPE = 3.0  # of the distribution of heterogeneous time constants (Perez-Nieves et al. 2021)
SMALLEST_PART = 0.01  # of its start that learning leaves of a parameter that must be positive
HETEROGENEOUS_CEILING = 3.0  # times the mean


def build_network(config: Config, n_inputs: int, n_outputs: int) -> Network:
    """Return the network of ``config`` for a data set of these channels and classes."""
    hidden_names = [name for name in config.populations if name.startswith("hidden")]
    source = Population(name="input", size=n_inputs, values={}, floors={})
    layers = []
    for index, name in enumerate(hidden_names):
        tail = str(index) if len(hidden_names) > 1 else ""
        first = index == 0
        forward = _projection(
            config,
            f"in_to_hid{tail}" if first else f"hid_to_hidfwd{index - 1}",
            source.name,
            name,
            "INPUT_HIDDEN" if first else "HIDDEN_HIDDENFWD",
            config.TRAIN_W,
        )
        recurrent = None
        if config.RECURRENT:
            recurrent = _projection(
                config, f"hid_to_hid{tail}", name, name, "HIDDEN_HIDDEN", config.TRAIN_W
            )
        source = _population(
            config, name, config.NUM_HIDDEN, "HIDDEN_NEURON_TYPE", "hidden", config.TRAIN_TAU
        )
        layers.append(Layer(population=source, forward=forward, recurrent=recurrent))
    train_output = config.TRAIN_W and config.TRAIN_W_OUTPUT
    forward = _projection(
        config, "hid_to_out", source.name, "output", "HIDDEN_OUTPUT", train_output
    )
    output = _population(
        config, "output", n_outputs, "OUTPUT_NEURON_TYPE", "output", config.TRAIN_TAU_OUTPUT
    )
    layers.append(Layer(population=output, forward=forward))
    if config.TAU_OUTPUT_EPOCH_TRIAL:
        _refuse_equal_taus(layers)
    return Network(input=Population(name="input", size=n_inputs, values={}, floors={}),
                      layers=tuple(layers))  # fmt: skip


def initial_weights(network: Network, seed: int) -> dict[str, np.ndarray]:
    """Return normally distributed weights [P, Q] of every projection, each from its stream."""
    return {
        p.name: stream(seed, f"weights {p.name}").normal(
            p.mean, p.std, (network.size(p.source), network.size(p.target))
        )
        for p in network.projections
    }


def find_loss(config: Config) -> Loss:
    """Return the loss that LOSS_TYPE names: a built-in one or a dotted path."""
    loss = LOSSES.get(config.LOSS_TYPE)
    if loss is None:
        loss = load_object(config.LOSS_TYPE, "LOSS_TYPE")
    if not isinstance(loss, Loss):
        raise ConfigError(f"LOSS_TYPE={config.LOSS_TYPE}: a snnrun Loss is needed, not {loss!r}")
    return loss


def find_regulariser(config: Config) -> tuple[Regulariser | None, dict[str, float]]:
    """Return the regulariser that REG_TYPE names, or None, and the values of the keys it uses."""
    regulariser = REGULARISERS.get(config.REG_TYPE)
    if regulariser is None:
        return None, {}
    keys = (*regulariser.keys, "TAU_MEM")
    return regulariser, {key: float(getattr(config, key)) for key in keys}


def find_rule(config: Config) -> Rule:
    """Return the learning rule of ``config``; ConfigError where its backend cannot run it."""
    rule = RULES[config.rule.name]
    if config.backend.name not in rule.backends:
        raise ConfigError(
            f"rule={rule.name}: backend {config.backend.name} cannot run it; use backend="
            f"{' or '.join(rule.backends)}"
        )
    return rule


def find_spike_derivative(config: Config) -> SpikeDerivative | None:
    """Return what stands for the derivative of spikes, or None where the rule needs none."""
    if not RULES[config.rule.name].discrete:
        return None
    name = config.rule.surrogate
    surrogate = SURROGATES.get(name)
    if surrogate is None:
        surrogate = load_object(name, "rule.surrogate")
    if not isinstance(surrogate, Surrogate):
        raise ConfigError(f"rule.surrogate={name}: a snnrun Surrogate is needed, not {surrogate!r}")
    given = {key: getattr(config.rule, key) for key in SURROGATE_KEYS}
    values = {key: float(value) for key, value in given.items() if value is not None}
    for key in values:
        if key not in surrogate.keys:
            raise ConfigError(
                f"rule.{key}={values[key]:g}: has no effect, as surrogate {surrogate.name} does "
                "not use it; leave it out"
            )
    return SpikeDerivative(
        surrogate=surrogate, values=values, detach_reset=config.rule.detach_reset
    )


def find_neuron(name: str, key: str) -> tuple[Neuron, tuple[str, ...]]:
    """Return a built-in or user's neuron, and which of its parameters are heterogeneous."""
    if name in NEURON_TYPES:
        return NEURON_TYPES[name]
    neuron = load_object(name, key)
    if not isinstance(neuron, Neuron):
        raise ConfigError(f"{key}={name}: a snnrun Neuron is needed, not {neuron!r}")
    return neuron, ()


def _projection(
    config: Config, name: str, source: str, target: str, key: str, trained: bool
) -> Projection:
    mean, std = getattr(config, f"{key}_MEAN"), getattr(config, f"{key}_STD")
    return Projection(name=name, source=source, target=target, mean=mean, std=std, trained=trained)


def _population(
    config: Config, name: str, size: int, key: str, role: str, train: bool
) -> Population:
    neuron, heterogeneous = _neuron_of(config, key, role)
    own: Mapping[str, Any] = getattr(config.network, f"{role}_parameters") or {}
    known = [p.name for p in neuron.parameters]
    _refuse_unused(config, key, neuron)
    for given in own:
        if given not in known:
            raise ConfigError(
                f"network.{role}_parameters.{given}: neuron {neuron.name} has no such parameter."
                f"{did_you_mean(given, known)} It has: {', '.join(known)}"
            )
    values: dict[str, float | np.ndarray] = {}
    for p in neuron.parameters:
        value = own.get(p.name, getattr(config, p.key) if p.key else p.default)
        values[p.name] = value if np.ndim(value) == 0 else np.asarray(value, float)
    floors = {p.name: getattr(config, p.floor_key) for p in neuron.parameters if p.floor_key}
    for parameter_name in heterogeneous:
        values[parameter_name] = _gamma(
            float(values[parameter_name]), floors[parameter_name], size,
            config.MODEL_SEED, f"{parameter_name} {name}",
        )  # fmt: skip
    trained = tuple(p.name for p in neuron.parameters if p.floor_key) if train else ()
    if role == "hidden":
        trained += _also_trained(config, neuron, trained)
    for parameter_name in trained:
        p = neuron.parameter(parameter_name)
        if parameter_name not in floors and (p.positive or p.low > -math.inf):
            start = float(np.min(values[parameter_name]))
            floors[parameter_name] = SMALLEST_PART * start if p.positive else p.low
    noise, veto = (config.HIDDEN_NOISE, config.PDROP_HIDDEN) if role == "hidden" else (0.0, 0.0)
    return Population(
        name=name, size=size, neuron=neuron, values=values, trained=trained, floors=floors,
        noise=noise, veto=veto,
    )  # fmt: skip


def _also_trained(config: Config, neuron: Neuron, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parameters of network.hidden_trained, but for those that are ``known``."""
    wanted = tuple(dict.fromkeys(config.network.hidden_trained))
    allowed = neuron.trainable
    for name in wanted:
        if name not in allowed:
            raise ConfigError(
                f"network.hidden_trained={name}: neuron {neuron.name} has no parameter of this "
                f"name that can be trained.{did_you_mean(name, allowed)} It has: "
                f"{', '.join(allowed)}"
            )
    return tuple(name for name in wanted if name not in known)


def _refuse_unused(config: Config, key: str, neuron: Neuron) -> None:
    """Raise ConfigError for keys of hidden neurons that were set and that this neuron lacks."""
    if key != "HIDDEN_NEURON_TYPE":
        return
    used = {p.key for p in neuron.parameters}
    for name in NEURON_KEYS:
        value, usual = getattr(config, name), SCHEMA[name].default_of(config.dataset.name)
        if name not in used and value != usual:
            raise ConfigError(
                f"{name}={value:g}: has no effect, as neuron {neuron.name} has no parameter that "
                f"follows it; leave it out"
            )


def _refuse_equal_taus(layers: Sequence[Layer]) -> None:
    """Raise ConfigError where TAU_OUTPUT_EPOCH_TRIAL would find nothing to record."""
    for layer in layers:
        neuron = layer.population.neuron
        assert neuron is not None
        if any(neuron.parameter(name).unit == "ms" for name in layer.population.per_neuron):
            return
    raise ConfigError(f"TAU_OUTPUT_EPOCH_TRIAL: {ALL_ALIKE}")


def _neuron_of(config: Config, key: str, role: str) -> tuple[Neuron, tuple[str, ...]]:
    """Return the neuron of a population; losses on spike times need outputs that spike."""
    if role != "output" or not find_loss(config).spiking:
        return find_neuron(getattr(config, key), key)
    neuron, heterogeneous = find_neuron(config.OUTPUT_NEURON_TYPE, key)
    if neuron.threshold is not None:
        return neuron, heterogeneous
    return NEURON_TYPES["LIF"][0], heterogeneous  # LI: the same membrane, with the threshold


def _gamma(mean: float, floor: float, size: int, seed: int, name: str) -> np.ndarray:
    draw = stream(seed, name).gamma(GAMMA_SHAPE, mean / GAMMA_SHAPE, size)
    return np.clip(draw, floor, HETEROGENEOUS_CEILING * mean)
