"""What a population computes in one step of each pass, as expressions that a backend prints.

What all neurons share is a number: parameters, entries of the propagators P (free) and H (held in
the refractory period), their offsets u. What differs from neuron to neuron is a coefficient, an
array that a backend keeps beside the states: of the same kinds, and the derivatives of propagators
by trained parameters. Expressions hold the names of both.

    tau_mem          a parameter
    P_V_I, H_I_I     entry of the propagator, row V, column I
    Pu_V             offset of row V
    dP_tau_mem_V_I   derivative of P_V_I by tau_mem; column 1 stands for the offset

Generated code holds these names too, so that programs which differ in numbers only are built once;
see ``Steps.in_code`` for what becomes part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np
import sympy as sp

from snnrun.compile.derive import FREE, HELD, Flow, adjoint_symbol, entry_symbol, offset_symbol
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.propagator import propagator_and_derivative
from snnrun.models.equations import internal, symbol

MARGIN = 0.999  # of the bound below which no neuron spikes any more


class Steps:
    """The steps of one population.

    Linear steps are lists of terms, one list per state, in the order of the states: backends add
    them in this order, and so does the reference.
    """

    def __init__(self, compiled: CompiledPopulation) -> None:
        self.compiled = compiled
        self.dynamics = compiled.dynamics
        self.neuron = compiled.dynamics.neuron
        self.states = self.neuron.states

    step, back = "P x + u", "P^T lam"  # what advance and adjoint return
    linear = True  # the adjoint does not need the states
    # names that expressions of a step use -> what they stand for; each uses those before it only
    definitions: Mapping[sp.Symbol, sp.Expr] = MappingProxyType({})

    def defined(self, expressions: Iterable[sp.Expr]) -> dict[sp.Symbol, sp.Expr]:
        """Return those definitions that expressions use, directly or not, in their order."""
        used = {s for e in expressions for s in sp.sympify(e).free_symbols}
        found = {}
        for name, value in reversed(list(self.definitions.items())):
            if name in used:
                found[name] = value
                used |= value.free_symbols
        return dict(reversed(list(found.items())))

    @property
    def initial(self) -> dict[str, sp.Expr]:
        """State -> value at the start of a trial."""
        start = self.neuron.system.initial
        return {s: sp.sympify(start.get(s, 0)) for s in self.states}

    @property
    def threshold_state(self) -> sp.Symbol:
        """The state that is compared with the threshold."""
        return symbol(str(self.neuron.system.threshold_state))

    @property
    def threshold(self) -> sp.Expr:
        """The value on or above which the neuron spikes."""
        return sp.sympify(self.neuron.system.threshold_value)

    @property
    def threshold_level(self) -> sp.Expr:
        """The threshold where all states are 0."""
        return self.threshold.subs({symbol(s): 0 for s in self.states})

    @property
    def resets(self) -> dict[str, sp.Expr]:
        """State -> new value at a spike, of the values just before it."""
        return {s: sp.sympify(e) for s, e in self.neuron.system.resets.items()}

    @property
    def rests(self) -> bool:
        """Whether a trial may end once nobody can spike any more: needs a positive threshold."""
        if self.dynamics.spike_bound is None or self.compiled.population.neuron is None:
            return False
        level = self.compiled.fold(self.threshold_level)
        if not level.is_number or float(level) <= 0:
            return False
        if self.dynamics.held is None or self.threshold_level == self.threshold:
            return True
        # a potential that is held while the threshold falls must stay below its lowest value
        reset = self.compiled.fold(self.resets.get(str(self.threshold_state), self.threshold_state))
        return bool(reset.is_number and float(reset) < float(level))

    @property
    def spike_bound(self) -> sp.Expr:
        """What reaches the threshold's level where a neuron may spike without arrivals.

        See derive.py; with a margin for rounding.
        """
        assert self.dynamics.spike_bound is not None
        terms = []
        for state, h in self.dynamics.spike_bound.items():
            name = internal(f"bound_{state}")
            terms.append(sp.Max((name if name in self.numbers else h / MARGIN) * symbol(state), 0))
        return sp.Add(*terms)

    def flow(self, prefix: str) -> Flow:
        """Return the equations between spikes (``P``), or in the refractory period (``H``)."""
        return dict(self.flows())[prefix]

    def flows(self) -> Iterator[tuple[str, Flow]]:
        """Yield the flows that there are, by prefix."""
        yield FREE, self.dynamics.free
        if self.dynamics.held is not None:
            yield HELD, self.dynamics.held

    def advance(self, prefix: str = FREE) -> dict[str, list[sp.Expr]]:
        """Return x <- P x + u: state -> terms."""
        flow = self.flow(prefix)
        new: dict[str, list[sp.Expr]] = {}
        for i, state in enumerate(self.states):
            new[state] = [
                self._term(prefix, i, j, symbol(self.states[j])) for r, j in flow.entries if r == i
            ]
            if i in flow.offsets:
                new[state].append(self.offset(prefix, i))
        return new

    def adjoint(self, prefix: str = FREE) -> dict[str, list[sp.Expr]]:
        """Return lam <- P^T lam: state -> terms."""
        return {
            state: [
                self._term(prefix, i, j, adjoint_symbol(self.states[i]))
                for i, c in self.flow(prefix).entries
                if c == j
            ]
            for j, state in enumerate(self.states)
        }

    def _term(self, prefix: str, i: int, j: int, factor: sp.Symbol) -> sp.Expr:
        return sp.Mul(self.entry(prefix, i, j), factor, evaluate=False)

    def parameter_gradients(self) -> dict[str, dict[str, sp.Expr]]:
        """Return lam . (dP/dp x + du/dp): trained parameter -> prefix of the flow -> expression."""
        sums: dict[str, dict[str, sp.Expr]] = {}
        n = len(self.states)
        for prefix, flow in self.flows():
            for parameter in self.compiled.population.trained:
                total = sp.Integer(0)
                for i, j in () if self.shared(prefix) else self.moved(flow, parameter):
                    factor = symbol(self.states[j]) if j < n else sp.Integer(1)
                    slope = self.slope(prefix, parameter, i, j)
                    total += adjoint_symbol(self.states[i]) * slope * factor
                sums.setdefault(parameter, {})[prefix] = total
        return sums

    @cached_property
    def numbers(self) -> dict[sp.Symbol, float]:
        """What all neurons share, by name."""
        bounds = {
            internal(f"bound_{state}"): self.compiled.fold(h) / MARGIN
            for state, h in (self.dynamics.spike_bound or {}).items()
        }
        known = {name: float(bound) for name, bound in bounds.items() if bound.is_number}
        return {**self.compiled.numbers, **known}

    def in_code(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression as generated code has it, of ``constants`` and coefficients.

        A number that is 0 takes its term out of the code, an entry of a propagator that is 1 the
        factor. Code multiplies by the inverse of a number, ``inverse_tau_mem``, and never divides.
        """
        found, numbers = sp.sympify(expression), self.numbers
        structure = {s: sp.Integer(int(numbers[s])) for s in found.free_symbols & self._structural}
        return (found.xreplace(structure) if structure else found).replace(
            lambda e: e.is_Pow and e.base in numbers and e.exp.is_negative,
            lambda e: _inverse(e.base) ** -e.exp,
        )

    @cached_property
    def constants(self) -> Mapping[sp.Symbol, float]:
        """The numbers and their inverses, by the names that generated code has for them."""
        return self.numbers | {_inverse(s): 1 / value for s, value in self.numbers.items() if value}

    @cached_property
    def _structural(self) -> set[sp.Symbol]:
        entries = {
            self.entry(prefix, *place) for prefix, flow in self.flows() for place in flow.entries
        }
        numbers = self.numbers.items()
        return {s for s, value in numbers if value == 0 or (value == 1 and s in entries)}

    @cached_property
    def coefficients(self) -> tuple[sp.Symbol, ...]:
        """What differs from neuron to neuron, in the order in which backends store it."""
        if not self.compiled.per_neuron:
            return ()
        found = [symbol(name) for name in self.compiled.per_neuron]
        for prefix, flow in self.flows():
            if self.shared(prefix):
                continue
            found += [self.entry(prefix, i, j) for i, j in flow.entries]
            found += [self.offset(prefix, i) for i in flow.offsets]
            for parameter in self.compiled.population.trained:
                found += [
                    self.slope(prefix, parameter, i, j) for i, j in self.moved(flow, parameter)
                ]
        return tuple(found)

    def coefficient_values(
        self, parameters: np.ndarray, dt: float, integrator: str
    ) -> dict[sp.Symbol, np.ndarray]:
        """Return every coefficient [N] for ``parameters`` [per_neuron, N], in float64."""
        own = [symbol(name) for name in self.compiled.per_neuron]
        values: dict[sp.Symbol, np.ndarray] = dict(zip(own, parameters, strict=True))
        for prefix, flow in self.flows():
            if self.shared(prefix):
                continue
            directions = self.compiled.population.trained
            A, slopes = self._matrices(prefix, values)
            P, dP = propagator_and_derivative(A, slopes, dt, integrator)
            for i, j in flow.entries:
                values[self.entry(prefix, i, j)] = P[:, i, j]
            for i in flow.offsets:
                values[self.offset(prefix, i)] = P[:, i, -1]
            for parameter, d in zip(directions, dP, strict=True):
                for i, j in self.moved(flow, parameter):
                    values[self.slope(prefix, parameter, i, j)] = d[:, i, j]
        return {s: values[s] for s in self.coefficients}

    def _matrices(
        self, prefix: str, values: Mapping[sp.Symbol, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return [A, b] of every neuron [N, n, n + 1], and its derivative by each direction."""
        columns = [values[symbol(name)] for name in self.compiled.per_neuron]
        size, n = len(columns[0]), len(self.states)

        def evaluate(cells: list[Callable[..., np.ndarray]]) -> np.ndarray:
            found = [np.broadcast_to(cell(*columns), size) for cell in cells]
            return np.array(found, float).T.reshape(size, n, n + 1)

        table, *slopes = map(evaluate, self._functions[prefix])
        return table, np.array(slopes).reshape(len(slopes), size, n, n + 1)

    @cached_property
    def _functions(self) -> dict[str, list[list[Callable[..., np.ndarray]]]]:
        """By prefix, the cells of [A, b] as functions of the parameters that differ, and the cells
        of its derivative by each trained one.
        """
        names = [symbol(name) for name in self.compiled.per_neuron]

        def functions(table: sp.Matrix) -> list[Callable[..., np.ndarray]]:
            return [sp.lambdify(names, self.compiled.fold(cell), "numpy") for cell in table]

        return {
            prefix: [
                functions(self.table(flow)),
                *(
                    functions(self.table(flow).diff(symbol(p)))
                    for p in self.compiled.population.trained
                ),
            ]
            for prefix, flow in self.flows()
            if not self.shared(prefix)
        }

    def table(self, flow: Flow) -> sp.Matrix:
        """Return [A, b]."""
        return sp.Matrix.hstack(flow.A, flow.b)

    def shared(self, prefix: str) -> bool:
        """Return whether a propagator is the same for all neurons."""
        entries = self.flow(prefix).entries
        return any(self.entry(prefix, i, j) in self.compiled.numbers for i, j in entries)

    def entry(self, prefix: str, i: int, j: int) -> sp.Symbol:
        """Return the symbol of an entry of a propagator."""
        return entry_symbol(self.states[i], self.states[j], prefix)

    def offset(self, prefix: str, i: int) -> sp.Symbol:
        """Return the symbol of an entry of a propagator's offset."""
        return offset_symbol(self.states[i], prefix)

    def slope(self, prefix: str, parameter: str, i: int, j: int) -> sp.Symbol:
        """Return the symbol of the derivative of an entry, or of the offset (j = states)."""
        column = self.states[j] if j < len(self.states) else "1"
        return internal(f"d{prefix}_{parameter}_{self.states[i]}_{column}")

    def moved(self, flow: Flow, parameter: str) -> list[tuple[int, int]]:
        """Return the entries of [P, u] that change with ``parameter`` (u: column len(states))."""
        n = len(self.states)
        p = symbol(parameter)
        direct = [(k, m) for k in range(n) for m in range(n) if flow.A[k, m].diff(p) != 0]
        direct += [(k, n) for k in range(n) if flow.b[k].diff(p) != 0]
        found = set()
        for k, m in direct:
            for i in range(n):
                if (i, k) not in flow.entries:
                    continue
                found |= {(i, j) for j in range(n) if m < n and (m, j) in flow.entries}
                if m == n or m in flow.offsets:
                    found.add((i, n))
        return sorted(found)


def _inverse(number: sp.Symbol) -> sp.Symbol:
    return internal(f"inverse_{number.name}")
