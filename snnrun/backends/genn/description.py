"""A GeNN model as plain data: what PyGeNN is given, made and printed without PyGeNN.

Types are GeNN's (``scalar``, ``int``, ``uint32_t``, ...). Code is in GeNN's snippet language.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np


class Access(Enum):
    """Who has a copy of a variable: GeNN's VarAccess and CustomUpdateVarAccess."""

    OWN = "READ_WRITE"  # each example of the batch
    COMMON = "READ_ONLY"  # one for the whole batch; updates may write it through a reference
    OF_EXAMPLE = "READ_ONLY_SHARED_NEURON"  # one number for the population, for each example
    SUM_OF_BATCH = "REDUCE_BATCH_SUM"
    SUM_OF_NEURONS = "REDUCE_NEURON_SUM"
    LARGEST_OF_NEURONS = "REDUCE_NEURON_MAX"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A variable of a neuron, synapse or update, and its initial value.

    ``hidden``: the host never sees it, and keeps no memory for it.
    """

    name: str
    type: str = "scalar"
    access: Access = Access.OWN
    value: float = 0.0
    hidden: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """An array that the code indexes itself (GeNN: extra global parameter), and its contents."""

    name: str
    type: str
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A number that the host sets and may change between steps (GeNN: dynamic parameter).

    ``value`` is set when a model is loaded, and no part of its code.
    """

    name: str
    type: str
    value: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """A population: ``inputs`` are sums besides ``Isyn`` that synapses add to."""

    name: str
    size: int
    sim_code: str
    threshold: str = ""
    reset_code: str = ""
    variables: tuple[Variable, ...] = ()
    tables: tuple[Table, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """The synapses where not all are connected: both their ends, int32 [S]."""

    pre: np.ndarray
    post: np.ndarray

    @property
    def longest(self) -> int:
        """Most synapses of a presynaptic neuron."""
        return int(np.bincount(self.pre, minlength=1).max())


@dataclass(frozen=True, kw_only=True)
class Synapses:
    """Synapses, of all pairs or of some: what a spike does forward, and backward (``event``).

    ``before`` and ``after`` name the variables of the presynaptic and of the postsynaptic neuron
    that the code reads; ``dynamics`` is what every synapse does in every step. ``of_source`` and
    ``of_target`` are variables of which those of a presynaptic, or a postsynaptic, neuron have one
    for all. Spikes may arrive up to ``slots`` - 1 steps later, and events may look back as far.
    """

    name: str
    source: str
    target: str
    pairs: Pairs | None = None
    spike: str = ""
    event_condition: str = ""
    event: str = ""
    variables: tuple[Variable, ...] = ()
    of_source: tuple[Variable, ...] = ()
    of_target: tuple[Variable, ...] = ()
    slots: int = 0
    before: tuple[Variable, ...] = ()
    after: tuple[Variable, ...] = ()
    into: str = "Isyn"  # input of the target to which a spike adds
    back_into: str = ""  # input of the source to which an event adds
    dynamics: str = ""
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A variable of a population, projection or another update that an update reads or writes."""

    name: str
    owner: str
    variable: str
    type: str = "scalar"
    written: bool = False


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A table of a population that an update reads or writes."""

    name: str
    owner: str
    table: str
    type: str = "scalar"


@dataclass(frozen=True, kw_only=True)
class Update:
    """Code that runs on request for every neuron or synapse (GeNN: custom update).

    ``of_synapses``: it runs over the synapses of a projection.
    """

    name: str
    group: str
    code: str
    references: tuple[Reference, ...]
    variables: tuple[Variable, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    of_synapses: bool = False
    tables: tuple[Shared, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Description:
    """A whole model. ``batch`` examples run at once; ``precision`` is float or double.

    GeNN's time ``t`` is the number of its step: its ``dt`` is 1.

    ``program`` is the text of what it was derived from.
    """

    program: str
    batch: int
    precision: str
    neurons: tuple[Neurons, ...]
    synapses: tuple[Synapses, ...]
    updates: tuple[Update, ...]

    @property
    def parts(self) -> tuple[Neurons | Synapses | Update, ...]:
        """Populations, projections and updates."""
        return (*self.neurons, *self.synapses, *self.updates)

    def text(self) -> str:
        """Return the model as text, for people to read."""
        return f"{self.program}\n\n{self.code(values=True)}"

    def code(self, *, values: bool = False) -> str:
        """Return what GeNN builds as text; without the ``values`` of parameters."""
        lines = [f"t in steps, batch {self.batch}, {self.precision}"]
        for part in self.parts:
            lines.append(f"\n== {type(part).__name__.lower()} {part.name}")
            for field, value in vars(part).items():
                if field == "name" or value in ((), "", 0, None):
                    continue
                lines += _field(field, value, values=values)
        return "\n".join(lines) + "\n"


def _field(name: str, value: object, *, values: bool) -> list[str]:
    if isinstance(value, Pairs):  # of which the code knows the size alone
        return [f"{name}: {len(value.pre)}, at most {value.longest} of a presynaptic neuron"]
    if isinstance(value, str) and "\n" in value:
        return [f"{name}:", *(f"    {line}" for line in value.splitlines())]
    if isinstance(value, tuple):
        return [f"{name}:", *(f"    {_item(item, values=values)}" for item in value)]
    return [f"{name}: {value}"]


def _item(item: object, *, values: bool) -> str:
    if isinstance(item, Table):
        return f"{item.type} {item.name}[{len(item.values)}]"
    if isinstance(item, Variable):
        hidden = ", on the device only" if item.hidden else ""
        return f"{item.type} {item.name} = {item.value!r}, {item.access.value}{hidden}"
    if isinstance(item, Reference):
        arrow = "writes" if item.written else "reads"
        return f"{item.type} {item.name} {arrow} {item.owner}.{item.variable}"
    if isinstance(item, Shared):
        return f"{item.type} {item.name}[] is {item.owner}.{item.table}"
    if isinstance(item, Parameter):
        return f"{item.type} {item.name}" + (f" = {item.value!r}" if values and item.value else "")
    return str(item)
