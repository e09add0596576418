"""How much memory a run will need, so that one that cannot be is refused before its build.

The figures follow the arrays of backends/native/runtime (layer.hpp, engine.hpp, checkpoints.hpp and
deferred.hpp), which a change there should be entered here too; tests compare them with what real
runs took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from snnrun.backends.interpreter.backend import AT_ONCE
from snnrun.config import Config
from snnrun.datasets import find
from snnrun.errors import ResourceError
from snnrun.keys.kinds import shown
from snnrun.machine import Node, available_memory, resident_memory, usable_cores
from snnrun.network.build import find_learning, find_regulariser, find_rule
from snnrun.network.delays import DelayKind
from snnrun.network.network import Network, Population, Projection
from snnrun.numbers import size_in_words
from snnrun.optimisers import optimiser_of
from snnrun.rules.learning import Gradient
from snnrun.schema.fields import INPUT

SLOTS, MOST_SLOTS, LEAST_LARGE, MOST_OF_A_WAVE = 16, 64, 8, 64  # as in the runtime
LARGE_GRADIENT, TABLES = 192 << 10, 2 << 20
TAPE, TOGETHER_BYTES, STEPS_AT_ONCE = 16 << 20, 128 << 20, 16
TOGETHER = (8, 4, 2)  # trials, of which the first that fit are walked together
MATRICES = 4  # [P, Q] of backend numpy: weights, with their delays, and two gradients
TENSORS = 2  # value and gradient; beside them what the optimiser keeps
LIBRARIES = 20 << 20  # what is still to be loaded: the program, the writers of files
SHARE = 0.1  # a part below this share of the whole is not named


@dataclass(frozen=True)
class Part:
    """Memory for one purpose, in bytes, and the keys that make it large."""

    what: str
    size: int
    keys: tuple[str, ...]


def require_memory_for_data(config: Config, nodes: Sequence[Node] = ()) -> None:
    """Raise ResourceError if a data set that is generated has no room in memory.

    Files say what they hold. ``nodes``: those of a run on several processes.
    """
    if find(config.dataset.name).files or config.DATA_ON_DISK:
        return
    examples = sum(n or 0 for n in (config.N_TRAIN, config.N_VALIDATE, config.N_TEST))
    size = examples * (4 * (config.steps + 1) + 32)  # where each step starts; label and the like
    keys = ("N_TRAIN", "N_VALIDATE", "N_TEST", "TRIAL_MS", "DT_MS")
    data = Part(f"data of {examples:,} examples", size, keys)
    _require(config, [data])
    for number, node in enumerate(nodes):
        copies = _copies(number, node) + (number == 0)
        _require_on(config, node, [replace(data, size=copies * size)])


def require_memory(
    config: Config, network: Network, nodes: Sequence[Node] = (), data: int = 0
) -> None:
    """Raise ResourceError if the run would need more memory than there is, with what needs it.

    Data and network are in memory already.

    Args:
        config: Of the run.
        network: Its network.
        nodes: Those of a run on several processes, first that of this one.
        data: Bytes of the data that such a run copies to each node.
    """
    parts = parts_of(config, network, sum(node.processes for node in nodes) or 1)
    _require(config, parts)
    for number, node in enumerate(nodes):
        n = node.processes
        of_all = [replace(p, what=f"{p.what}, of {n} ranks", size=n * p.size) for p in parts]
        copied = Part("the data", _copies(number, node) * data, ("N_TRAIN", "DATA_ON_DISK"))
        _require_on(config, node, [*of_all, copied])


def _copies(number: int, node: Node) -> int:
    """Return how many copies of the data a node gets beside those that rank 0 has: on node 0."""
    return int(number > 0 or node.processes > 1)


def parts_of(config: Config, network: Network, ranks: int = 1) -> list[Part]:
    """Return what a run, or each of its ranks, will need beside its data, by purpose."""
    real = 4 if config.backend.precision == "float32" else 8
    deferred = _deferred(config, network, real)
    parts = [
        part
        for projection in network.projections
        for part in _of_projection(config, network, projection, real, deferred, ranks)
    ]
    if not find_rule(config).gradient.engine.has_gradient:
        return parts
    parts += _traces(config, network, 8 if config.backend.name == "numpy" else real)
    if config.backend.name == "native":
        parts.append(_trials(config, network, real, deferred))
    elif config.backend.name == "numpy":
        parts.append(_tapes(config, network))
    return parts


def _of_projection(
    config: Config, network: Network, projection: Projection, real: int, deferred: bool, ranks: int
) -> Iterator[Part]:
    """Give weights and delays with states and gradients, and what starts or keeps them."""
    states = len(optimiser_of(config.by_key()).states)
    keys = _hidden_keys(config)
    online = not find_rule(config).gradient.engine.has_gradient
    if projection.source == projection.target:
        keys = (*keys, "RECURRENT")
    if projection.source == INPUT:
        keys = (*keys, "N_INPUT_DELAY")
    if not (deferred or online):
        keys = (*keys, "N_BATCH")
    ends = network.size(projection.source), network.size(projection.target)
    synapses = projection.synapses
    tensors = {"weights": (ends if synapses is None else synapses.weights, projection.trained)}
    if projection.delays is not None:
        delays = projection.delays
        tensors["delays"] = delays.kind.shape(*ends), delays.trained
    for what, (shape, trained) in tensors.items():
        numbers = held = prod(shape)
        if what == "weights" and synapses is not None:
            held = synapses.count  # of those, native holds no others
        copies = 0
        if config.backend.name == "native":
            copies = held * (5 if online else TENSORS + states) * real
            if not online:
                copies += held * real * _gradients(config, deferred, ranks)
            if find_rule(config).discrete:
                copies += held * real
        elif config.backend.name == "numpy":
            copies = 8 * ((TENSORS + states) * numbers + MATRICES * prod(ends))
        # as they are drawn, or in a checkpoint, with states: arrays, the file, and its copy
        copies += numbers * max(16 + real, 3 * real * (1 + states if trained else 1))
        yield Part(f"{what} {projection.name} and their gradients", copies, keys)


def _gradients(config: Config, deferred: bool, ranks: int) -> int:
    """Return how many gradients a rank holds: of its slots (runtime/slots.hpp), and of all."""
    slots = min(SLOTS, config.N_BATCH)
    if deferred:
        slots = max(1, min(MOST_SLOTS, config.N_BATCH // LEAST_LARGE))
    if ranks == 1:
        return min(slots, 2) if deferred else slots
    return -(-slots // ranks) + 2


def _trials(config: Config, network: Network, real: int, deferred: bool) -> Part:
    """Return the states, adjoints and spikes of the trials that are in work at the same time."""
    threads = config.backend.threads or usable_cores()
    average = config.AVG_SNSUM and find_regulariser(config)[0] is not None
    discrete = find_rule(config).discrete
    looped = any(layer.recurrent for layer in network.layers)
    shared = discrete and (looped or len(network.groups) < len(network.layers))
    first = network.layers[0].population.size
    tables = [(config.steps + 2) * x.population.size * real for x in network.layers]
    trials = threads
    keys = (*_hidden_keys(config), "TRIAL_MS", "DT_MS", "backend.threads")
    kept = _steps_kept(config, network, real)
    if shared:
        populations = [layer.population for layer in network.layers]
        of_trial = sum(tables) + kept * sum(_of_states(p, real) for p in populations)
        of_trial += sum(_of_arrivals(config, network, p, real) for p in network.projections)
        together = next((n for n in TOGETHER if n * of_trial <= TOGETHER_BYTES), 1)
        trials *= min(together, config.N_BATCH)
        keys = (*keys, "N_BATCH")
    if deferred:
        room = max(TABLES * threads, network.input.size * first * real // 2)
        wave = max(min(MOST_OF_A_WAVE, room // (sum(tables) + 1)), 2 * threads)
        trials = threads + min(wave, config.N_BATCH)
    elif threads > SLOTS // 2:  # trials that are walked apart from their slots (runtime/slots.hpp)
        trials = threads + min(max(2 * threads, trials) + SLOTS, config.N_BATCH)
        keys = (*dict.fromkeys((*keys, "N_BATCH")),)
    if average:
        trials = threads + config.N_BATCH
        keys = (*keys, "N_BATCH")
    size = 0
    for layer, table in zip(network.layers, tables, strict=True):
        population = layer.population
        assert population.neuron is not None
        states = len(population.neuron.states)
        size += table + population.size * (2 * states * real + 16)
        if discrete:
            size += kept * _of_states(population, real)
        elif population.trained:
            size += states * table
        size += sum(_of_arrivals(config, network, p, real) for p in layer.projections)
    return Part(f"states and adjoints of {trials} trials at a time", trials * size, keys)


def _traces(config: Config, network: Network, real: int) -> Iterator[Part]:
    """Give what synapses keep whose weights change while trials run (runtime/eligibility.hpp)."""
    learning = find_learning(config)
    if not isinstance(learning, Gradient) or not learning.update_steps:
        return
    states = [len(x.population.neuron.states) for x in network.layers if x.population.neuron]
    size = sum(
        network.size(p.source) * network.size(p.target) * (own + states[-1] + 1) * real
        for layer, own in zip(network.layers[:-1], states[:-1], strict=True)
        for p in layer.projections
        if p.trained
    )
    keys = (*_hidden_keys(config), "N_BATCH")
    yield Part(f"traces in {config.N_BATCH} trials", size * config.N_BATCH, keys)


def _of_states(population: Population, real: int) -> int:
    """Return the bytes of the states of a step that a discrete rule keeps beside adjoints.

    Threshold and reset hardly need the input; as many of the others as there are ports are kept
    where adjoints come.
    """
    neuron = population.neuron
    assert neuron is not None
    own = max(0, len(neuron.states) - 1 - len(neuron.ports))
    before = len(neuron.states) if population.trained or neuron.discrete else 0
    return population.size * (own + before) * real


def _steps_kept(config: Config, network: Network, real: int) -> int:
    """Return of how many steps of a trial a discrete rule keeps states (checkpoints.hpp)."""
    of_step = sum(_of_states(layer.population, real) for layer in network.layers)
    steps = STEPS_AT_ONCE
    if of_step * config.steps < TAPE:
        return config.steps
    while 2 * steps * of_step < TAPE:
        steps *= 2
    return steps + config.steps // steps  # and layers at the start of each segment


def _of_arrivals(config: Config, network: Network, projection: Projection, real: int) -> int:
    """Return what a trial keeps of arrivals that are delayed or dropped."""
    size, delays = network.size(projection.target) * real, projection.delays
    dendritic = delays is not None and delays.kind is DelayKind.DENDRITIC
    found = 2 * config.steps * size if dendritic else 0  # arrivals before them, own adjoints
    if projection.dropout:
        found += config.steps * size
    if delays is not None:
        way = delays.steps(config.DT_MS) + int(config.DELAY_WIDTH) + 2
        found += (1 << (way - 1).bit_length()) * size  # under way
        from_neurons = projection.source != network.input.name
        if delays.kind is DelayKind.AXONAL and from_neurons and find_rule(config).discrete:
            found += config.steps * network.size(projection.source) * real
    return found


def _tapes(config: Config, network: Network) -> Part:
    """Return what backend numpy keeps of the trials of a mini-batch in every step."""
    size = network.input.size * 8
    for layer in network.layers:
        neuron = layer.population.neuron
        assert neuron is not None
        numbers = 2 * len(neuron.states) + 2 + 2 * len(neuron.ports)
        size += layer.population.size * (8 * numbers + 2)
    trials = _at_once(config)
    keys = (*_hidden_keys(config), "TRIAL_MS", "DT_MS", "N_BATCH")
    return Part(f"states and adjoints of {trials} trials", trials * config.steps * size, keys)


def _at_once(config: Config) -> int:
    """Return how many examples are learned, or evaluated, in one go."""
    counts = (config.N_VALIDATE, config.N_TEST)
    return max(config.N_BATCH, *(AT_ONCE if n is None else min(n, AT_ONCE) for n in counts))


def _deferred(config: Config, network: Network, real: int) -> bool:
    """Return whether layers are so large that there are few slots (runtime/deferred.hpp)."""
    if find_rule(config).discrete or not all(
        p.synapses is None and p.delays is None and not p.dropout for p in network.projections
    ):
        return False
    first = network.layers[0]
    rows = sum(network.size(p.source) for p in first.projections)
    large = LARGE_GRADIENT * (10 if first.recurrent or len(network.groups[0]) > 1 else 1)
    by_rule = first.forward.rule == config.rule.name
    return rows * first.population.size * real >= large and len(network.layers) > 1 and by_rule


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
    total = size_in_words(wanted + resident_memory())
    raise ResourceError(
        f"{_keys(config, parts, wanted)}: the run would need about {total} of memory, and "
        f"{size_in_words(free)} are available here:\n{_listed(parts, wanted)}"
        "Choose smaller values, or a machine with more memory"
    )


def _require_on(config: Config, node: Node, parts: list[Part]) -> None:
    """Raise ResourceError if the processes of a node would together need more than it has."""
    wanted = sum(part.size for part in parts) + node.processes * LIBRARIES
    if node.free is None or wanted <= node.free:
        return
    raise ResourceError(
        f"{_keys(config, parts, wanted)}: the {node.processes} ranks on {node.name} share its "
        f"memory. They would need about {size_in_words(wanted)} more, and "
        f"{size_in_words(node.free)} are available there:\n{_listed(parts, wanted)}"
        "Start fewer ranks on a node, with more threads each (backend.threads), choose smaller "
        "values, or nodes with more memory"
    )


def _large(parts: list[Part], wanted: int) -> list[Part]:
    return sorted((p for p in parts if p.size >= SHARE * wanted), key=lambda p: -p.size)


def _keys(config: Config, parts: list[Part], wanted: int) -> str:
    """Return the keys that make the large parts large, with their values."""
    by_key = config.by_key()
    large = _large(parts, wanted)
    keys = dict.fromkeys(key for part in large for key in part.keys if by_key.get(key))
    return ", ".join(f"{key}={shown(by_key[key])}" for key in keys)


def _listed(parts: list[Part], wanted: int) -> str:
    large = _large(parts, wanted)
    return "".join(f"  {size_in_words(part.size)} for {part.what}\n" for part in large)
