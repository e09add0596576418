"""How much memory a run will need, so that one that cannot be is refused before its build.

The figures follow the arrays of backends/native/runtime (layer.hpp, engine.hpp, deferred.hpp),
which a change there should be entered here too; tests compare them with what real runs took.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from snnrun.config import Config
from snnrun.datasets import find
from snnrun.errors import ResourceError
from snnrun.keys.kinds import shown
from snnrun.machine import available_memory, resident_memory, usable_cores
from snnrun.network.build import find_neuron, find_regulariser, find_rule
from snnrun.network.network import Layer, Network
from snnrun.schema.fields import INPUT

SLOTS, TOGETHER, MOST_OF_A_WAVE = 16, 4, 64  # as in the runtime
LARGE_GRADIENT, TABLES = 192 << 10, 2 << 20
MATRICES = 4  # [P, Q] of backend numpy: weights, with their delays, and two gradients
LIBRARIES = 20 << 20  # what is still to be loaded: the program, the writers of files
Sizes = dict[str, int]  # population -> its neurons
SHARE = 0.1  # a part below this share of the whole is not named


@dataclass(frozen=True)
class Part:
    """Memory for one purpose, in bytes, and the keys that make it large."""

    what: str
    size: int
    keys: tuple[str, ...]


def require_memory_for_data(config: Config) -> None:
    """Raise ResourceError if a data set that is generated has no room. Files say what they hold."""
    if find(config.dataset.name).files:
        return
    examples = sum(n or 0 for n in (config.N_TRAIN, config.N_VALIDATE, config.N_TEST))
    size = examples * (4 * (config.steps + 1) + 32)  # where each step starts; label and the like
    keys = ("N_TRAIN", "N_VALIDATE", "N_TEST", "TRIAL_MS", "DT_MS")
    _require(config, [Part(f"data of {examples:,} examples", size, keys)])


def require_memory(config: Config, network: Network) -> None:
    """Raise ResourceError if the run would need more memory than there is, with what needs it.

    Args:
        config: The configuration.
        network: Its network; it and the data are in memory already.
    """
    _require(config, parts_of(config, network))


def parts_of(config: Config, network: Network) -> list[Part]:
    """Return what a run will need beside its data, by purpose."""
    sizes = {p.name: p.size for p in network.populations}
    parts: list[Part] = []
    real = 4 if config.backend.precision == "float32" else 8
    deferred = _deferred(config, sizes, real)
    for layer in network.layers:
        parts += _weights(config, layer, sizes, real, deferred)
    if config.backend.name == "native" and find_rule(config).gradient.engine.has_gradient:
        parts += _trials(config, sizes, real, deferred)
    return parts


def _weights(
    config: Config, layer: Layer, sizes: Sizes, real: int, deferred: bool
) -> Iterator[Part]:
    """Give weights with moments and gradients, and what starts them or keeps them on disk."""
    hidden = _hidden_keys(config)
    online = not find_rule(config).gradient.engine.has_gradient
    for projection in layer.projections:
        pairs = sizes[projection.source] * sizes[projection.target]
        synapses = projection.synapses
        array = pairs if synapses is None else prod(synapses.weights)
        native = (5 if online else 4) * real if config.backend.name == "native" else 0
        if not (deferred or online):
            native += real * min(SLOTS, config.N_BATCH)
        if find_rule(config).discrete:
            native += real
        # as they are drawn, or in a checkpoint, with moments: arrays, the file, and its copy
        size = array * max(16 + real, 3 * real * (3 if projection.trained else 1))
        size += (pairs if synapses is None else synapses.count) * native
        if config.backend.name == "numpy" and synapses is not None:
            size += pairs * MATRICES * 8
        keys = hidden if projection is not layer.recurrent else (*hidden, "RECURRENT")
        if projection.source == INPUT:
            keys = (*keys, "N_INPUT_DELAY")
        if not (deferred or online):
            keys = (*keys, "N_BATCH")
        yield Part(f"weights {projection.name} and their gradients", size, keys)


def _trials(config: Config, sizes: Sizes, real: int, deferred: bool) -> Iterator[Part]:
    """Give the states, adjoints and spikes of the trials that are in work at the same time."""
    threads = config.backend.threads or usable_cores()
    average = config.AVG_SNSUM and find_regulariser(config)[0] is not None
    discrete = find_rule(config).discrete
    shared = discrete and any(layer.recurrent is not None for layer in config.layers)
    neurons = [sizes[layer.name] for layer in config.layers]
    tables = [(config.steps + 2) * size * real for size in neurons]
    trials = threads * (TOGETHER if shared else 1)
    keys = (*_hidden_keys(config), "TRIAL_MS", "DT_MS", "backend.threads")
    if deferred:
        room = max(TABLES * threads, sizes[INPUT] * neurons[0] * real // 2)
        wave = max(min(MOST_OF_A_WAVE, room // (sum(tables) + 1)), 2 * threads)
        trials = threads + min(wave, config.N_BATCH)
    if average:
        trials = threads + config.N_BATCH
        keys = (*keys, "N_BATCH")
    size = 0
    for layer, count, table in zip(config.layers, neurons, tables, strict=True):
        states = len(find_neuron(layer.neuron, layer.asked_by)[0].states)
        size += table + count * (2 * states * real + 16)
        if layer.train_tau or config.network.hidden_trained or discrete:
            size += states * table
    yield Part(f"states and adjoints of {trials} trials at a time", trials * size, keys)


def _deferred(config: Config, sizes: Sizes, real: int) -> bool:
    """Return whether there is one gradient for all (runtime/deferred.hpp), not one a slot."""
    first, discrete = config.layers[0], find_rule(config).discrete
    own = sizes[first.name]
    gradient = (sizes[INPUT] + (own if first.recurrent else 0)) * own * real
    large = gradient >= LARGE_GRADIENT * (10 if first.recurrent else 1)
    return (
        large and len(config.layers) > 1 and not discrete and first.forward.rule == config.rule.name
    )


def _hidden_keys(config: Config) -> tuple[str, ...]:
    for listed in ("layers", "populations"):
        if config.network.get(listed):
            return (f"network.{listed}",)
    return ("NUM_HIDDEN", "N_HID_LAYER") if config.N_HID_LAYER > 1 else ("NUM_HIDDEN",)


def _require(config: Config, parts: list[Part]) -> None:
    free = available_memory()
    wanted = sum(part.size for part in parts) + LIBRARIES
    if free is None or wanted <= free:
        return
    large = sorted((p for p in parts if p.size >= SHARE * wanted), key=lambda p: -p.size)
    by_key = config.by_key()
    keys = dict.fromkeys(key for part in large for key in part.keys if by_key.get(key))
    named = ", ".join(f"{key}={shown(by_key[key])}" for key in keys)
    total = wanted + resident_memory()
    raise ResourceError(
        "\n".join(
            [
                f"{named}: the run would need about {size_in_words(total)} of memory, and "
                f"{size_in_words(free)} are available here:",
                *(f"  {size_in_words(part.size)} for {part.what}" for part in large),
                "Choose smaller values, or a machine with more memory",
            ]
        )
    )


def size_in_words(size: float) -> str:
    """Return a number of bytes as a person writes it: 3.1 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1000 else f"{size:,.0f} TB"
