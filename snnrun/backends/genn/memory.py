"""How much memory of a GPU a model takes, told before it is loaded: GeNN ends the process where
there is too little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snnrun.backends.genn.description import Access, Description, Neurons, Update, Variable
from snnrun.errors import ConfigError

BYTES = {
    "scalar": 4,
    "int": 4,
    "double": 8,
    "uint8_t": 1,
    "uint16_t": 2,
    "uint32_t": 4,
    "uint64_t": 8,
}
RESERVE = 64 * 2**20  # of the kernels, and of what is lost between arrays

# What takes memory, and the keys that it grows with
EVENTS = "the events of the data (N_TRAIN)"
SPIKES = "the spikes for the backward pass (N_BATCH, N_MAX_SPIKE, NUM_HIDDEN)"
STEPS = "values of every step (N_BATCH, TRIAL_MS / DT_MS, NUM_HIDDEN)"
GRADIENTS = "the gradients of each example (N_BATCH, NUM_HIDDEN)"
WEIGHTS = "the weights and their moments (NUM_HIDDEN)"
NEURONS = "the neurons (N_BATCH, NUM_HIDDEN)"
DELAYED = "what delayed spikes need (N_BATCH, NUM_HIDDEN, the largest delay)"
TABLES = {  # how the names of large tables begin
    EVENTS: ("event_step", "channel_start", "target_step", "target_start"),
    SPIKES: ("spike_step", "late", "kept_", "at_release_", "crossed", "crossing_"),
    STEPS: ("tape_", "trace_", "activities", "potential", "slopes"),
}


def memory_of(
    description: Description, grown: Mapping[tuple[str, str], int] | None = None
) -> dict[str, int]:
    """Return the bytes of everything that a model has on the device, by what it is.

    Args:
        description: The model.
        grown: Entries of tables, (population, table) -> entries, that are not the described ones.
    """
    found: dict[str, int] = {}

    def add(what: str, count: int, kind: str) -> None:
        size = {"double": 8}.get(description.precision, 4) if kind == "scalar" else BYTES[kind]
        found[what] = found.get(what, 0) + count * size

    batch = description.batch
    sizes = {n.name: n.size for n in description.neurons}
    for neurons in description.neurons:
        for table in neurons.tables:
            count = (grown or {}).get((neurons.name, table.name), len(table.values))
            add(_kind(table.name), count, table.type)
        kept = _kept_steps(neurons, description)
        for variable in neurons.variables:
            count = _copies(variable, batch) * _each(variable, neurons.size)
            add(NEURONS, count, variable.type)
            add(DELAYED, count * kept.get(variable.name, 0), variable.type)
        _add_own(neurons, description, add)
    for synapses in description.synapses:
        row = synapses.pairs.longest if synapses.pairs else sizes[synapses.target]
        sizes[synapses.name] = sizes[synapses.source] * row
        for variable in synapses.of_source:
            add(WEIGHTS, sizes[synapses.source], variable.type)
        for variable in synapses.of_target:
            add(WEIGHTS, sizes[synapses.target], variable.type)
        for variable in synapses.variables:
            copies = _copies(variable, batch)
            what = GRADIENTS if copies > 1 else WEIGHTS
            add(what, copies * sizes[synapses.name], variable.type)
    for update in description.updates:
        for variable in update.variables:
            add(
                WEIGHTS if update.of_synapses else NEURONS,
                _of_update(update, variable, sizes, batch),
                variable.type,
            )
    return found


def _kind(table: str) -> str:
    return next((what for what, names in TABLES.items() if table.startswith(names)), NEURONS)


def _copies(variable: Variable, batch: int) -> int:
    return 1 if variable.access is Access.COMMON else batch


def _each(variable: Variable, size: int) -> int:
    return 1 if variable.access is Access.OF_EXAMPLE else size


def _kept_steps(neurons: Neurons, description: Description) -> dict[str, int]:
    """Return for how many earlier steps GeNN keeps variables, as delayed synapses look at them."""
    into = [s for s in description.synapses if s.target == neurons.name]
    most = max((s.slots for s in into if s.event), default=0)
    return {variable.name: most for s in into for variable in s.after}


def _add_own(neurons: Neurons, description: Description, add: Callable[..., None]) -> None:
    """Add what GeNN has for a population by itself: sums of inputs, spikes and events."""
    count = description.batch * neurons.size
    targets = {(s.into, s.slots) for s in description.synapses if s.target == neurons.name}
    sources = {s.back_into for s in description.synapses if s.source == neurons.name}
    add(NEURONS, count * (len(targets) + len(sources - {""})), "scalar")
    add(DELAYED, count * sum(slots for _, slots in targets), "scalar")
    sent = [s for s in description.synapses if s.source == neurons.name]
    spikes = (1 if neurons.threshold else 0) + len({s.event_condition for s in sent} - {""})
    add(NEURONS, (count + description.batch) * spikes, "uint32_t")


def _of_update(update: Update, variable: Variable, sizes: Mapping[str, int], batch: int) -> int:
    size = next(sizes[r.owner] for r in update.references if r.owner in sizes)
    return batch if variable.access.value.startswith("REDUCE_NEURON") else size


def gigabytes(count: int) -> str:
    """Return bytes as people say them."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def require_memory(
    description: Description, free: int | None, grown: Mapping[tuple[str, str], int] | None = None
) -> None:
    """Raise ConfigError where a model needs more than the ``free`` bytes (None: not known)."""
    if free is None:
        return
    parts = memory_of(description, grown)
    needed = sum(parts.values()) + RESERVE
    if needed <= free:
        return
    large = sorted((size, what) for what, size in parts.items() if size > 0.05 * needed)
    told = "; ".join(f"{gigabytes(size)} {what}" for size, what in reversed(large))
    raise ConfigError(
        f"not enough memory on the GPU: this network needs {gigabytes(needed)}, and "
        f"{gigabytes(free)} are free. What it needs most, and the keys that it grows with: {told}. "
        "Use smaller ones, backend.precision=float32, or another GPU (backend.device_id)"
    )
