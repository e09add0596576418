"""What a model is: equations and parameters, declared once; everything else is derived from them.

A neuron is one frozen constant that checks itself when it is made. It holds no derivative, no
buffer and no word of a backend. A user's own neuron is such a constant in any importable module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from snnrun.errors import ModelError, did_you_mean
from snnrun.models.equations import (
    COUNTING,
    names_in,
    parse_assignments,
    parse_condition,
    parse_expression,
    parse_rates,
    read_expression,
)
from snnrun.models.update import (
    ARRIVED,
    SPIKES,
    STEP,
    Assignment,
    assigned_names,
    parse_update,
    refuse_given_names,
)

if TYPE_CHECKING:
    import sympy as sp


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A number that an equation uses: default, unit, bounds, meaning, and its config key.

    ``low`` itself is not allowed when ``positive`` is set. ``key`` names the config key that sets
    the parameter; without one it is set by ``network.hidden_parameters`` or
    ``network.output_parameters``.
    ``floor_key`` names the key that bounds it from below while it is trained.
    """

    name: str
    default: float
    unit: str
    meaning: str
    key: str | None = None
    floor_key: str | None = None
    positive: bool = False
    low: float = -math.inf
    high: float = math.inf

    def check(self, value: float, where: str) -> None:
        """Raise ModelError if ``value`` is not allowed."""
        low = 0.0 if self.positive else self.low
        inside = (value > low if self.positive else value >= low) and value <= self.high
        if not (math.isfinite(value) and inside):
            bound = f"> {low:g}" if self.positive else f"in [{low:g}, {self.high:g}]"
            raise ModelError(f"{where}: {self.name} = {value:g} {self.unit}; it must be {bound}")


@dataclass(frozen=True, kw_only=True)
class System:
    """A neuron's equations as SymPy expressions over symbols named after states and parameters."""

    states: tuple[str, ...]
    rates: tuple[sp.Expr, ...]  # dX/dt, one per state; none where there is an update
    update: tuple[Assignment, ...]  # carried out in order in each step
    threshold_state: str | None
    threshold_value: sp.Expr | None  # spike where threshold_state >= threshold_value
    resets: Mapping[str, sp.Expr]
    initial: Mapping[str, sp.Expr]
    count: sp.Expr | None = None  # spikes of a neuron on its threshold

    @property
    def lines(self) -> list[str]:
        """What happens between spikes, one statement a line."""
        if self.update:
            return [f"{line.state} = {line.value}" for line in self.update]
        rates = zip(self.states, self.rates, strict=True)
        return [f"d{state}/dt = {rate}" for state, rate in rates]


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """A neuron model, by equations in continuous time or by its update in discrete time.

    Args:
        name: What error messages and generated code call it.
        equations: One ``dX/dt = ...`` per line, time in ms. The first state is the one that is read
        out.
        update: Instead of ``equations``: ``X = ...`` lines that are carried out in order, once a
        step. They know ``dt`` (ms) and ``input``, the sum of the weights that arrived in the step.
        input: The state that a presynaptic spike adds its weight to; with ``update`` it is always
        ``input``, which is 0 after the step.
        other_inputs: Other states that spikes of a projection may add to, as its ``port``:
        currents of other time constants, of the opposite sign.
        readout: With ``update``: the state that is read out; if left out, that of the threshold, or
        of the first line.
        parameters: Every other name that the equations use.
        threshold: ``X >= expression``; None for a neuron that never spikes.
        count: With ``update``: how many spikes a neuron on its threshold emits in the step, with
        the values before the reset; one if left out. At least 1, at most ``max_spikes``.
        max_spikes: Name of the parameter that holds the most spikes in a step, or None.
        reset: ``X = expression`` lines, carried out at a spike with the values just before it. With
        ``count`` they know ``spikes``, with ``update`` ``dt``.
        refractory: Name of the parameter that holds the refractory period (ms), or None.
        held: States that keep their value during the refractory period; with ``update`` there may
        be none, where neurons only do not spike.
        initial: State -> expression for states that do not start at 0.
        meaning: One line.
        source: The publication, with equation number where there is one.

    Raises:
        ModelError: The equations cannot be read, or use names that are not declared.
    """

    name: str
    equations: str = ""
    update: str = ""
    parameters: tuple[Parameter, ...]
    input: str = ""
    other_inputs: tuple[str, ...] = ()
    readout: str | None = None
    threshold: str | None = None
    count: str | None = None
    max_spikes: str | None = None
    reset: str = ""
    refractory: str | None = None
    held: tuple[str, ...] = ()
    initial: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    meaning: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        self._check_form()
        names = [p.name for p in self.parameters]
        repeated = {n for n in names if names.count(n) > 1} | set(self.states) & set(names)
        if repeated:
            raise ModelError(f"neuron {self.name}: declared twice: {', '.join(sorted(repeated))}")
        for parameter in self.parameters:
            parameter.check(parameter.default, f"neuron {self.name}, default value")
        self._check_names()
        self._system(read_expression)  # so that a bad declaration fails where it is written

    def _check_form(self) -> None:
        """Refuse what belongs to the other way of declaring; fill in the name of the input."""
        where = f"neuron {self.name}"
        if self.equations and self.update:
            raise ModelError(f"{where}: it has both equations and an update; give one of them")
        if self.discrete:
            if self.other_inputs:
                raise ModelError(
                    f"{where}: other_inputs belongs to equations; an update has one input"
                )
            if self.input not in ("", ARRIVED):
                raise ModelError(
                    f"{where}: input={self.input!r}, but an update says itself where arrivals go, "
                    f"by the name {ARRIVED}; leave input out"
                )
            refuse_given_names(tuple(p.name for p in self.parameters), where)
            self._assignments(read_expression)
            if (self.count is None) != (self.max_spikes is None):
                raise ModelError(f"{where}: count and max_spikes need each other")
            if self.count is not None and self.threshold is None:
                raise ModelError(
                    f"{where}: a count without a threshold never happens; give a threshold"
                )
        else:
            for option in ("readout", "count", "max_spikes"):
                if getattr(self, option) is not None:
                    raise ModelError(f"{where}: {option} belongs to an update; leave it out")
        object.__setattr__(self, "input", ARRIVED if self.discrete else self.input or "I")
        if len(set(self.ports)) < len(self.ports):
            raise ModelError(f"{where}: an input is named twice: {', '.join(self.ports)}")

    def _assignments(self, parse: Callable[..., Any]) -> tuple[Assignment, ...]:
        names = {p.name for p in self.parameters}
        return parse_update(self.update, names, f"neuron {self.name}, update", parse)

    @property
    def discrete(self) -> bool:
        """Whether the neuron is declared by its update in discrete time."""
        return bool(self.update.strip())

    def _check_names(self) -> None:
        where = f"neuron {self.name}"
        if not self.states:
            raise ModelError(f"{where}: no equation; write at least one line dX/dt = ...")
        if self.max_spikes is not None:
            self.parameter(self.max_spikes)
        named = [("input", port) for port in self.ports] + [("held", h) for h in self.held]
        for role, state in named:
            if state not in self.states:
                hint = did_you_mean(state, self.states)
                allowed = ", ".join(self.states)
                raise ModelError(f"{where}: {role} {state!r} is no state.{hint} States: {allowed}")
        if self.refractory is not None:
            self.parameter(self.refractory)
            if self.threshold is None or not (self.held or self.discrete):
                need = "a threshold" if self.discrete else "a threshold and at least one held state"
                raise ModelError(f"{where}: a refractory period needs {need}")
        if self.threshold is None and self.reset:
            raise ModelError(
                f"{where}: a reset without a threshold never happens; give a threshold"
            )

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states: in the order of their equations, or the one read out, those of the
        update, and last the ``input``.
        """
        where = f"neuron {self.name}"
        if self.discrete:
            return self._states_of_update(assigned_names(self.update, f"{where}, update"))
        return tuple(name for name, *_ in parse_rates(self.equations, where))

    @property
    def ports(self) -> tuple[str, ...]:
        """The states that arrivals may add to, the usual one first."""
        return (self.input, *self.other_inputs)

    @property
    def trainable(self) -> tuple[str, ...]:
        """The parameters whose gradient is derived in full.

        Not the refractory period and the most spikes in a step, which are whole numbers, and not
        what an initial value contains, whose derivative is not followed back to the begin of the
        trial.
        """
        used = {s.name for e in self.system.initial.values() for s in e.free_symbols}
        excluded = used | {self.refractory, self.max_spikes}
        return tuple(p.name for p in self.parameters if p.name not in excluded)

    @property
    def variables(self) -> tuple[str, ...]:
        """The states that keep a value from step to step: all but the ``input`` of an update."""
        return self.states[:-1] if self.discrete else self.states

    def _states_of_update(self, assigned: tuple[str, ...]) -> tuple[str, ...]:
        first = self.readout
        if first is None and self.threshold is not None:
            first = parse_condition(self.threshold, f"neuron {self.name}, threshold")[0]
        if first is None or (first not in assigned and self.readout is None):
            first = assigned[0]
        if first not in assigned:
            hint = did_you_mean(first, assigned)
            raise ModelError(
                f"neuron {self.name}: readout {first!r} is no state.{hint} States: "
                f"{', '.join(assigned)}"
            )
        return (first, *(name for name in assigned if name != first), ARRIVED)

    def parameter(self, name: str) -> Parameter:
        """Return the declared parameter, or raise ModelError with the nearest known name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        known = [p.name for p in self.parameters]
        raise ModelError(
            f"neuron {self.name} has no parameter {name!r}.{did_you_mean(name, known)} "
            f"It has: {', '.join(known)}"
        )

    @cached_property
    def system(self) -> System:
        """The equations, parsed."""
        return self._system(parse_expression)

    def _system(self, parse: Callable[..., Any]) -> System:
        """Return the system with its expressions as ``parse`` makes them."""
        where = f"neuron {self.name}"
        states = self.states
        parameters = {p.name for p in self.parameters}
        names = {*states, *parameters} - ({ARRIVED} if self.discrete else set())
        if len(set(states)) != len(states):
            raise ModelError(f"{where}: a state has two equations; states: {', '.join(states)}")
        rates = tuple(
            parse(text, names, where, line, at)
            for _, text, line, at in parse_rates(self.equations, where)
        )
        threshold_state, threshold_value = None, None
        if self.threshold is not None:
            threshold_state, text, line, at = parse_condition(self.threshold, f"{where}, threshold")
            self._known_state(threshold_state, "threshold")
            threshold_value = parse(text, names, f"{where}, threshold", line, at)
            if threshold_state in names_in(read_expression(text, names, where)):
                raise ModelError(
                    f"{where}: {threshold_state} stands on both sides of the threshold"
                )
        count = None
        if self.count is not None:
            count = parse(self.count, names, f"{where}, count", functions=COUNTING)
        known = names | ({SPIKES} if count is not None else set())
        known |= {STEP} if self.discrete else set()
        resets = {}
        for name, text, line, at in parse_assignments(self.reset, f"{where}, reset"):
            self._known_state(name, "reset")
            resets[name] = parse(text, known, f"{where}, reset", line, at)
        initial = {}
        for name, text in self.initial.items():
            self._known_state(name, "initial value")
            initial[name] = parse(text, parameters, f"{where}, initial value of {name}")
        return System(
            states=states,
            rates=rates,
            update=self._assignments(parse),
            threshold_state=threshold_state,
            threshold_value=threshold_value,
            resets=MappingProxyType(resets),
            initial=MappingProxyType(initial),
            count=count,
        )

    def _known_state(self, name: str, role: str) -> None:
        if name not in self.variables:
            raise ModelError(
                f"neuron {self.name}: the {role} names {name!r}, which is no state."
                f"{did_you_mean(name, self.variables)} States: {', '.join(self.variables)}"
            )
