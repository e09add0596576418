"""From a neuron's declaration to its two passes: steps, spike jumps, parameter gradients.

With f the ODE, here f = A x + b, g = X - value the threshold function, r the reset, lam = dL/dx:

    forward      x  <- P x + u                       P = expm(A dt)
    adjoint      lam <- P^T lam
    arrival      R_j = -sum_k w_jk d(lam_k[input])/dt  over the targets k of a spike of j
    own spike    slope D = g_x . f(x-)
                 strength S = lam . (r_x f(x-) - f(x+)) - R + dl/dt_spike
                 lam <- r_x^T lam - g_x S / D
                 dL/dp += lam . r_p - g_p S / D      (lam before the jump)
    parameters   dL/dp += lam . (dP/dp x + du/dp)    in every step

x- is the state at the spike, on the threshold; x+ = r(x-). Where a neuron may be kept from spiking
(``spike_dropout``), a spike that comes a number of steps after the crossing moves with the
crossing, since that number is drawn and depends on nothing: S is taken at the spike, with x- as it
was there, and g_x S / D and g_p S / D are subtracted at the crossing, D being the slope there.

Where f is not linear in x, the step is a map F of an integrator, and F_x and F_p stand for P and
dP/dp x + du/dp (compile/flow.py); the jump at a spike is the same. An arrival changes f by what is
linear in the state that it adds to.

Source: Wunderlich & Pehle 2021, Sci Rep 11:12829, generalised to any linear f and any g and r by
the same variation of the event times.
Everything here is symbolic: symbols are named after the states and parameters of the declaration;
``lam_X`` is the adjoint of state X, and the names below stand for what the jump is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.models.equations import internal, symbol

ARRIVAL = internal("R")  # minus the derivative of the loss by the time at which the spike arrives
SPIKE_TIME_GRADIENT = internal("dl_dt")  # derivative of the loss with respect to this spike's time
RELEASE = internal("release")  # lam . (f_held - f) at the end of the refractory period
DRIVE = internal("drive")  # S / D
FREE, HELD = "P", "H"  # of propagators between spikes, and in the refractory period
NO_SLOPE = (
    "neuron {0.name}: {1} does not move across the threshold {0.threshold!r} by its own equation, "
    "so a spike time has no derivative"
)
NO_FLOW = (
    "neuron {0.name}: arrivals add to {1}, which stands in the threshold {0.threshold!r}, so "
    "that spikes would be caused by arrivals and not by the flow; rule eventprop has no derivative "
    "there. Let arrivals add to a current"
)


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A linear ODE and where its propagator can be nonzero; nothing where a step is a map."""

    A: sp.Matrix
    b: sp.Matrix
    entries: tuple[tuple[int, int], ...]  # of P, row major
    offsets: tuple[int, ...]  # of u


NOTHING = Flow(A=sp.zeros(0, 0), b=sp.zeros(0, 1), entries=(), offsets=())


@dataclass(frozen=True, kw_only=True)
class Jump:
    """What happens to the adjoint at a neuron's own spike, walking back."""

    records: tuple[str, ...]  # states whose value at the spike must be kept
    slope: sp.Expr  # D
    strength: sp.Expr  # S
    adjoint: dict[str, sp.Expr]  # state -> new lam, in terms of lam and DRIVE
    parameters: dict[str, sp.Expr]  # parameter -> what is added to its gradient
    release: sp.Expr | None  # at the end of a refractory period
    crossing: dict[str, sp.Expr]  # at the crossing of a postponed spike: state -> new lam
    crossing_parameters: dict[str, sp.Expr]  # there, as ``parameters``


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """All that is derived from one declaration, for given refractory use and trained parameters."""

    neuron: Neuron
    free: Flow
    held: Flow | None
    jump: Jump | None
    mapped: bool  # a step is a map of the states, and no propagator
    readout_rate: sp.Expr  # dX/dt of the state that is read out
    readout_pulls: tuple[sp.Expr, ...]  # its derivatives by the states of the ports
    # state -> h: without arrivals a neuron with sum of max(h x, 0) < threshold cannot spike again
    spike_bound: dict[str, sp.Expr] | None


def adjoint_symbol(state: str) -> sp.Symbol:
    """Return the symbol of dL/d(state)."""
    return internal(f"lam_{state}")


def entry_symbol(row: str, column: str, prefix: str = FREE) -> sp.Symbol:
    """Return the symbol of an entry of the propagator P, or of H in the refractory period."""
    return internal(f"{prefix}_{row}_{column}")


def offset_symbol(row: str, prefix: str = FREE) -> sp.Symbol:
    """Return the symbol of an entry of the propagator's offset u."""
    return internal(f"{prefix}u_{row}")


def derive(
    neuron: Neuron,
    trained: tuple[str, ...],
    refractory: bool,
    spike_dropout: bool = False,
    timed: bool = True,
) -> Dynamics:
    """Derive both passes of ``neuron``; of one that is declared by an update, the forward pass.

    Args:
        trained: Names of the parameters whose gradients are wanted.
        refractory: Whether the refractory period is longer than 0.
        spike_dropout: Whether a neuron on its threshold may be kept from spiking.
        timed: Whether spike times are differentiated; otherwise there is no jump.

    Raises:
        ModelError: Arrivals themselves cause spikes, or change the flow nonlinearly.
    """
    if neuron.discrete:
        zero = sp.Integer(0)
        return Dynamics(
            neuron=neuron,
            free=NOTHING,
            held=NOTHING if refractory else None,
            jump=None,
            mapped=True,
            readout_rate=zero,
            readout_pulls=(zero,),
            spike_bound=None,
        )
    state = sp.Matrix([symbol(s) for s in neuron.states])
    free = sp.Matrix(neuron.system.rates)
    jacobian = free.jacobian(state)
    linear = not jacobian.free_symbols & set(state)
    _check_arrivals(neuron, jacobian)
    flow = held_flow = NOTHING
    if linear:
        offset = sp.simplify(free.subs(dict.fromkeys(state, 0)))
        flow = _flow(jacobian, offset)
        if refractory:
            held_flow = _flow(_held(neuron, jacobian), _held(neuron, offset))
    held = held_rates(neuron) if refractory else None
    return Dynamics(
        neuron=neuron,
        free=flow,
        held=held_flow if refractory else None,
        jump=_jump(neuron, free, held, trained, spike_dropout)
        if timed and neuron.threshold
        else None,
        mapped=not linear,
        readout_rate=neuron.system.rates[0],
        readout_pulls=tuple(jacobian[0, neuron.states.index(port)] for port in neuron.ports),
        spike_bound=_spike_bound(neuron, flow) if linear else None,
    )


def held_rates(neuron: Neuron) -> sp.Matrix:
    """Return dx/dt in the refractory period."""
    return _held(neuron, sp.Matrix(neuron.system.rates))


def _held(neuron: Neuron, rows: sp.Matrix) -> sp.Matrix:
    """Return ``rows``, one a state, with those of states that are held as 0."""
    found = rows.as_mutable()
    for state in neuron.held:
        found[neuron.states.index(state), :] = sp.zeros(1, rows.shape[1])
    return found


def _check_arrivals(neuron: Neuron, jacobian: sp.Matrix) -> None:
    """Refuse flows that change by more than what is linear in the states of the ports."""
    ports = {symbol(port) for port in neuron.ports}
    for row, name in enumerate(neuron.states):
        for port in neuron.ports:
            found = jacobian[row, neuron.states.index(port)].free_symbols & ports
            if found:
                raise ModelError(
                    f"neuron {neuron.name}: d{name}/dt = {neuron.system.rates[row]} is not linear "
                    f"in {', '.join(sorted({port, *map(str, found)}))}, which arrivals add to. "
                    "Let them add to a state that it is linear in"
                )


def _flow(A: sp.Matrix, b: sp.Matrix) -> Flow:
    n = A.shape[0]
    reach = [[i == j or A[i, j] != 0 for j in range(n)] for i in range(n)]
    for k in range(n):  # transitive closure: j can act on i within a step along any path
        for i in range(n):
            for j in range(n):
                reach[i][j] = reach[i][j] or (reach[i][k] and reach[k][j])
    entries = tuple((i, j) for i in range(n) for j in range(n) if reach[i][j])
    driven = [j for j in range(n) if b[j] != 0]
    offsets = tuple(i for i in range(n) if any(reach[i][j] for j in driven))
    return Flow(A=A, b=b, entries=entries, offsets=offsets)


def _jump(
    neuron: Neuron,
    free: sp.Matrix,
    held: sp.Matrix | None,
    trained: tuple[str, ...],
    spike_dropout: bool,
) -> Jump:
    system, names = neuron.system, neuron.states
    state = sp.Matrix([symbol(s) for s in names])
    lam = sp.Matrix([adjoint_symbol(s) for s in names])
    threshold = symbol(str(system.threshold_state))
    g = threshold - system.threshold_value
    g_x = sp.Matrix([g]).jacobian(state)
    for port in neuron.ports:
        if g_x[names.index(port)] != 0:
            raise ModelError(NO_FLOW.format(neuron, port))
    on_threshold = {threshold: system.threshold_value}
    at_spike = {} if spike_dropout else on_threshold
    before = state.subs(at_spike)
    reset = sp.Matrix([system.resets.get(s, symbol(s)) for s in names])
    r_x = reset.jacobian(state).subs(at_spike)
    after = reset.subs(at_spike)
    g_x = g_x.subs(on_threshold)
    slope = _as_declared(g_x, sp.Matrix(system.rates).subs(on_threshold))
    if sp.simplify(slope) == 0:
        raise ModelError(NO_SLOPE.format(neuron, system.threshold_state))
    f_before = _at(free, state, before)
    f_after = _at(free if held is None else held, state, after)
    strength = (lam.T * (r_x * f_before - f_after))[0] - ARRIVAL + SPIKE_TIME_GRADIENT
    release = None
    if held is not None:
        release = sp.simplify((lam.T * (held - free))[0])
        strength += RELEASE
    kept = r_x.T * lam
    adjoint = {
        name: sp.simplify(kept[i] - g_x[i] * DRIVE)
        for i, name in enumerate(names)
        if kept[i] != lam[i] or g_x[i] != 0
    }
    crossing = {n: lam[i] - g_x[i] * DRIVE for i, n in enumerate(names) if g_x[i] != 0}
    moved = {p: -g.diff(symbol(p)) * DRIVE for p in trained}
    parameters = {
        p: sp.simplify((lam.T * reset.diff(symbol(p)).subs(at_spike))[0] + moved[p])
        for p in trained
    }
    strength = sp.collect(sp.expand(strength), list(lam))
    used = set().union(
        *(e.free_symbols for e in [slope, strength, *adjoint.values(), *parameters.values()])
    )
    records = tuple(name for name in names if symbol(name) in used)
    return Jump(
        records=records,
        slope=slope,
        strength=strength,
        adjoint=adjoint,
        parameters={p: e for p, e in parameters.items() if e != 0},
        release=release,
        crossing=crossing,
        crossing_parameters={p: e for p, e in moved.items() if e != 0},
    )


def _at(rates: sp.Matrix, state: sp.Matrix, place: sp.Matrix) -> sp.Matrix:
    """Return the rates in another state."""
    return rates.subs(dict(zip(state, place, strict=True)), simultaneous=True)


def _as_declared(g_x: sp.Matrix, rates: sp.Matrix) -> sp.Expr:
    """Return g_x . f with the rates as they were written.

    (I - v_thresh) / tau_mem keeps the digits that I / tau_mem - v_thresh / tau_mem loses where a
    spike grazes the threshold.
    """
    return sp.Add(*(factor * rate for factor, rate in zip(g_x, rates, strict=True) if factor != 0))


def _spike_bound(neuron: Neuron, flow: Flow) -> dict[str, sp.Expr] | None:
    """Return h, which tells that a neuron cannot spike again without arrivals.

    Let the threshold be X >= theta - sum_s c_s x_s with theta > 0 constant, below which the neuron
    is now, and let every other state s decay on its own, x_s <- P_ss x_s. After one step
    g < 0 holds if  sum_s h_s x_s < theta,  h_s = (P_Xs + c_s (P_ss - P_XX)) / (1 - P_XX).
    As max(h_s x_s, 0) only shrinks, sum_s max(h_s x_s, 0) < theta excludes every later spike too.
    None where this does not apply; trials of such neurons are then walked to their end.
    """
    system, names = neuron.system, neuron.states
    if system.threshold_value is None:
        return None
    x = names.index(str(system.threshold_state))
    others = [s for s in range(len(names)) if s != x]
    alone = all(entry[0] in (x, entry[1]) for entry in flow.entries)
    states = {symbol(s) for s in names}
    constant = system.threshold_value.subs({symbol(names[s]): 0 for s in others})
    linear = sp.expand(system.threshold_value - constant)
    slopes = {s: -linear.coeff(symbol(names[s])) for s in others}
    remainder = sp.expand(linear + sum(slopes[s] * symbol(names[s]) for s in others))
    if flow.offsets or not alone or remainder != 0 or constant.free_symbols & states:
        return None
    if any(c.free_symbols & states for c in slopes.values()):
        return None
    P_xx = entry_symbol(names[x], names[x])
    bound = {}
    for s in others:
        to_x = entry_symbol(names[x], names[s]) if (x, s) in flow.entries else sp.Integer(0)
        h = to_x + slopes[s] * (entry_symbol(names[s], names[s]) - P_xx)
        if h != 0:
            bound[names[s]] = h / (1 - P_xx)
    return bound
