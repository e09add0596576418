"""The derivative of a step itself, with a surrogate for that of the spikes.

Step n of a population, with F what happens between spikes, g = X - value the threshold function and
r the reset:

    x  += arrivals                        (in the input state)
    x-  = F(x)
    s   = [g(x-) >= 0]                    0 while a neuron is refractory or kept from spiking
    x+  = x- + s (r(x-) - x-)             a spike of step n arrives at its targets in step n + 1

This is a graph without spike times; its derivative is exact but for ds/dg := sigma'(g). With
lam = dL/dx and J the Jacobian of F, walking back through step n:

    dl_ds  = sum_k w_jk delta_k(n + 1) + dR/ds [+ lam . (r - x-), of states that are not detached]
    lam   <- (1 - s) lam + s r_x^T lam + dl_ds sigma'(g) g_x
    dL/dp += s lam . r_p + dl_ds sigma'(g) g_p          (lam before this)
    dL/dp += lam . (dF/dp)                              (lam after this)
    lam   <- J^T lam,   delta = lam[input],   dL/dw_jk += delta_k(n) for each spike that arrives

sigma' is 0 where s is held at 0. The sum over the targets k is wanted of all neurons in all steps,
whether they spike or not. For equations between spikes J is the propagator P, as in derive.py; for
an update it is that of the update, see update.py.

Where a neuron may spike several times in a step, s = floor(h(x-)) on the threshold, and

    x+  = r(x-, s)
    dl_ds += lam . dr/ds                                of states that are not detached
    value h_x, value h_p                                stand for g_x, g_p

so that for s = floor(X / value) the derivative by X is sigma' as with single spikes.

Source: Neftci, Mostafa & Zenke 2019, IEEE Signal Process Mag 36(6):51; Zenke & Vogels 2021, Neural
Comput 33:899, for the detached reset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from snnrun.compile.derive import adjoint_symbol
from snnrun.models.declare import Neuron
from snnrun.models.equations import internal, parse_expression, symbol
from snnrun.models.surrogates import SpikeDerivative
from snnrun.models.update import SPIKES

COUNT = symbol(SPIKES)
DISTANCE = internal("distance")  # x of a surrogate: the state's distance above the threshold
REACH = internal("reach")  # and the threshold's value
CHANGE = internal("change")  # dl_ds sigma'(g)


@dataclass(frozen=True, kw_only=True)
class StepBack:
    """What threshold and reset of a step do to the adjoint, walking back.

    Expressions hold states (before the threshold), their adjoints (after the reset), CHANGE, and in
    ``slope`` DISTANCE and REACH.
    """

    taped: tuple[str, ...]  # states whose value before the threshold is kept in every step
    distance: sp.Expr  # g
    reach: sp.Expr  # the threshold's value
    slope: sp.Expr  # sigma'
    low: sp.Expr | None
    high: sp.Expr | None
    reset_change: sp.Expr | None  # lam . (r - x-) of what is not detached; None: all is
    detached: tuple[str, ...]  # states whose reset counts as a constant, where others' do not
    reset: dict[str, sp.Expr]  # state -> (r_x^T lam) where it differs from lam
    pull: dict[str, sp.Expr]  # state -> what is added to its lam
    reset_parameters: dict[str, sp.Expr]  # parameter -> what a spike adds to its gradient
    parameters: dict[str, sp.Expr]  # parameter -> what every step adds
    counted: bool = False  # expressions hold the number of spikes

    def describe(self) -> list[str]:
        """Return what happens to the adjoint as lines."""
        lines = [f"    g = {self.distance}, change = dl_ds sigma'(g)"]
        if self.reset_change is not None:
            lines.append(f"    dl_ds += {self.reset_change}")
        lines += [f"    at a spike: lam_{name} <- {value}" for name, value in self.reset.items()]
        return [*lines, *(f"    lam_{name} += {value}" for name, value in self.pull.items())]


def numbers_of(spikes: SpikeDerivative) -> dict[sp.Symbol, float]:
    """Return what stands for the surrogate's keys in ``named``, with their values."""
    keys = spikes.surrogate.keys
    return {_named(key): float(spikes.values.get(key, keys[key])) for key in keys}


def _named(key: str) -> sp.Symbol:
    return internal(f"surrogate_{key}")  # apart from a neuron's parameter of the same name


def named(spikes: SpikeDerivative, name: str) -> sp.Expr | None:
    """Return ``derivative``, ``low`` or ``high`` of the surrogate, or None where there is none.

    It is an expression of DISTANCE, REACH and ``numbers_of``.

    Raises:
        ModelError: The expression cannot be read, or holds an unknown name.
    """
    surrogate = spikes.surrogate
    text = getattr(surrogate, name)
    if text is None:
        return None
    allowed = {*surrogate.keys, *(("x", "threshold") if name == "derivative" else ())}
    expression = parse_expression(text, allowed, f"surrogate {surrogate.name}, {name}")
    names = {symbol(key): _named(key) for key in surrogate.keys}
    return expression.subs({**names, symbol("x"): DISTANCE, symbol("threshold"): REACH})


def bound(spikes: SpikeDerivative, name: str) -> sp.Expr | None:
    """Return ``named`` with the keys as numbers."""
    expression = named(spikes, name)
    return None if expression is None else expression.subs(numbers_of(spikes))


def describe_derivative(spikes: SpikeDerivative) -> str:
    """Return what stands for the derivative of the spikes."""
    bounds = [(sign, bound(spikes, name)) for sign, name in ((">=", "low"), ("<=", "high"))]
    where = " and ".join(f"x {sign} {float(end):g}" for sign, end in bounds if end is not None)
    text = str(bound(spikes, "derivative")).replace("distance", "x").replace("reach", "threshold")
    detached = spikes.detach_reset
    reset = "reset detached" if detached else "reset not detached"
    if detached is None:
        reset = "reset of the state on the threshold detached"
    elif not isinstance(detached, bool):
        reset = f"reset of {' and '.join(detached)} detached"
    return f"{text}{f' where {where}' if where else ''}; {reset}"


def derive_step_back(
    neuron: Neuron, trained: tuple[str, ...], spikes: SpikeDerivative
) -> StepBack | None:
    """Derive the way back through threshold and reset; None for a neuron without a threshold."""
    system, names = neuron.system, neuron.states
    if system.threshold_value is None:
        return None
    state = sp.Matrix([symbol(s) for s in names])
    lam = sp.Matrix([adjoint_symbol(s) for s in names])
    g = symbol(str(system.threshold_state)) - system.threshold_value
    moved = _moved_by(neuron, g)
    reset = sp.Matrix([system.resets.get(s, symbol(s)) for s in names])
    kept = reset.jacobian(state).T * lam
    moved_by_reset = [name for name in names if name in system.resets]
    detached = [name for name in moved_by_reset if spikes.detaches(name, system.threshold_state)]
    reset_change = None
    if len(detached) < len(moved_by_reset):
        by_spikes = zip(names, _by_spikes(reset, state), lam, strict=True)
        reset_change = sp.expand(sum(p * r for n, r, p in by_spikes if n not in detached))
    found = StepBack(
        taped=(),
        distance=g,
        reach=system.threshold_value,
        slope=sp.sympify(named(spikes, "derivative")),
        low=named(spikes, "low"),
        high=named(spikes, "high"),
        reset_change=reset_change,
        detached=() if reset_change is None else tuple(detached),
        reset={n: sp.simplify(kept[i]) for i, n in enumerate(names) if kept[i] != lam[i]},
        pull=_nonzero({n: moved(symbol(n)) * CHANGE for n in names}),
        reset_parameters=_nonzero({p: (lam.T * reset.diff(symbol(p)))[0] for p in trained}),
        parameters=_nonzero({p: moved(symbol(p)) * CHANGE for p in trained}),
    )
    return _with_tape(found, names, system.count)


def _moved_by(neuron: Neuron, g: sp.Expr) -> Callable[[sp.Symbol], sp.Expr]:
    """Return what gives g_x and g_p: by the count's argument where there is a count."""
    count, value = neuron.system.count, neuron.system.threshold_value
    if count is None:
        return g.diff
    unrounded = count.replace(sp.floor, lambda argument: argument)
    return lambda name: sp.simplify(value * unrounded.diff(name))


def _by_spikes(reset: sp.Matrix, state: sp.Matrix) -> sp.Matrix:
    """Return dx+/ds, by state: r - x- where the reset does not depend on the number of spikes."""
    rows = zip(reset, state, strict=True)
    return sp.Matrix([r.diff(COUNT) if r.has(COUNT) else r - x for r, x in rows])


def _nonzero(expressions: Mapping[str, sp.Expr]) -> dict[str, sp.Expr]:
    return {name: expression for name, expression in expressions.items() if expression != 0}


def _with_tape(step: StepBack, names: tuple[str, ...], count: sp.Expr | None) -> StepBack:
    """Return ``step`` with the states that its expressions use."""
    by_name = (step.reset, step.pull, step.reset_parameters, step.parameters)
    used = [step.distance, step.reach, step.reset_change or sp.Integer(0)]
    used += [expression for group in by_name for expression in group.values()]
    symbols = {s for expression in used for s in expression.free_symbols}
    counted = COUNT in symbols
    if counted:
        assert count is not None
        symbols |= count.free_symbols
    taped = tuple(name for name in names if symbol(name) in symbols)
    return replace(step, taped=taped, counted=counted)
