"""Whether a step is too long for a neuron that is not linear: its first spike, by half steps too.

A neuron at rest is given one arrival at its usual port, from little more than makes it spike to ten
times as much. Its way to the spike is taken by an integrator in steps and in half steps. Walking
back, the effect of the arrival on the potential at the spike is found for both: up to a factor that
they share, it is that on the time of the spike, from which gradients are made. Half steps are taken
as right, as they are twice to sixteen times as exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from snnrun.backends.interpreter.functions import Array
from snnrun.backends.interpreter.neurons import Neurons
from snnrun.compile.integrators import DT, of_nonlinear
from snnrun.compile.program import PARAMETERS, Program

# Spikes lie on whole steps, which moves them by up to one, and changes effects by up to a factor of
# 2 where a neuron spikes in the first step. More is due to the integrator; spikes that move by less
# than a tenth of the time that has passed still say what they should.
MOST_STEPS_MOVED, MOST_SHARE_MOVED, MOST_FACTOR = 1.0, 0.1, 2.0
# Arrivals in units of the threshold's level, in search of the least that makes a neuron spike, and
# how many times that are tried: what only just does may fail to with half steps.
SEARCHED = 2.0 ** np.arange(-10, 14, 0.5)
TRIED = 2.0 ** np.arange(0.5, 3.6, 0.25)
MOST_STEPS = 400


@dataclass(frozen=True, kw_only=True)
class Halved:
    """What half steps change of the first spikes of a population."""

    moved: float  # ms, the most; inf: there is a spike with whole steps only
    late: bool  # whether spikes move by more than whole steps do by themselves
    factor: float  # on the effect of an arrival, >= 1, the most
    finite: bool  # whether no step leads to numbers that are too large

    @property
    def too_long(self) -> bool:
        """Whether this is more than whole steps do to a neuron that is solved exactly."""
        return not self.finite or self.late or self.factor > MOST_FACTOR

    def __str__(self) -> str:
        if not self.finite:
            return "its numbers become too large in a step"
        if np.isinf(self.moved):
            return "it spikes where it does not with half steps"
        return (
            f"with half steps its first spike moves by up to {self.moved:.2g} ms, and the "
            f"effect of an input on it changes by up to a factor of {self.factor:.2g}"
        )


def too_long(
    program: Program, dt: float, integrator: str, populations: Iterable[int] | None = None
) -> dict[int, Halved]:
    """Return the populations for which the step is too long, of these or of all, by number."""
    chosen = range(len(program.populations)) if populations is None else populations
    found = {index: halved(program, index, dt, integrator) for index in chosen}
    return {index: halves for index, halves in found.items() if halves and halves.too_long}


def halved(program: Program, index: int, dt: float, integrator: str) -> Halved | None:
    """Return what half steps change in a population.

    None where it is linear between spikes, has no threshold, or does not spike in this way.

    Args:
        program: What the population belongs to; its parameters are those at the start.
        index: Of the population.
        dt: Length of a step (ms).
        integrator: The one to take, as network.integrator names it.
    """
    compiled = program.populations[index]
    if not compiled.smooth or not compiled.spiking:
        return None
    whole, half = (_neurons(program, index, d, integrator) for d in (dt, dt / 2))
    level = whole.level_per_step * program.dt
    arrivals = _to_try(whole, level, min(program.steps, MOST_STEPS))
    if arrivals is None:
        return None
    steps, effect, finite = _first_spikes(whole, arrivals, MOST_STEPS)
    halves, other, _ = _first_spikes(half, arrivals, 2 * MOST_STEPS)
    compared = steps > 1  # a spike in the first step is too early for any step
    compared[0] |= steps[0] == 1
    moved = np.where(halves > 0, np.abs(steps - halves / 2), np.inf)[compared]  # steps
    late = (moved > MOST_STEPS_MOVED) & (moved > MOST_SHARE_MOVED * steps[compared])
    with np.errstate(all="ignore"):
        ratio = np.abs(effect / other)[compared]
        factors = np.nan_to_num(np.maximum(ratio, 1 / ratio), nan=np.inf)
    return Halved(
        moved=float(moved.max(initial=0.0)) * dt,
        late=bool(late.any()),
        factor=float(factors.max(initial=1.0)),
        finite=bool(finite.all()),
    )


def _neurons(program: Program, index: int, dt: float, integrator: str) -> Neurons:
    """Return the population with this step: those neurons that have extreme parameters."""
    compiled = program.populations[index]
    numbers = {**compiled.numbers, DT: dt}
    neurons = Neurons(
        program, replace(compiled, numbers=numbers, integrator=of_nonlinear(integrator))
    )
    neurons.size = 1
    for tensor in program.tensors:
        if tensor.kind == PARAMETERS and tensor.layer == index:
            values = program.start_values(tensor)
            extreme = np.unique([values.argmin(axis=1), values.argmax(axis=1)])
            neurons.size = len(extreme)
            neurons.set_parameters(values[:, extreme])
            return neurons
    neurons.set_parameters(np.empty((0, 1)))
    return neurons


def _to_try(neurons: Neurons, level: float, most: int) -> Array | None:
    """Return arrivals [B, N] to try; None where nothing that is searched makes a neuron spike."""
    best: list[tuple[Array, Array]] = []
    for sign in (1.0, -1.0):
        arrivals = sign * level * np.repeat(SEARCHED[:, None], neurons.size, axis=1)
        spikes = _first_spikes(neurons, arrivals, most, effects=False)[0] > 0
        best.append((spikes, arrivals))
    spikes, arrivals = max(best, key=lambda found: int(found[0].sum()))
    if not spikes.any(axis=0).all():
        return None
    least = np.take_along_axis(arrivals, spikes.argmax(axis=0)[None], axis=0)
    return TRIED[:, None] * least


def _first_spikes(
    neurons: Neurons, arrivals: Array, most: int, effects: bool = True
) -> tuple[Array, Array, Array]:
    """Return the steps in which neurons first spike, 0: never, effects on it, finiteness [B, N]."""
    x = neurons.start(len(arrivals))
    x[neurons.ports[0]] += arrivals
    tape: list[Array] = []
    steps, finite = np.zeros(arrivals.shape, int), np.ones(arrivals.shape, bool)
    with np.errstate(all="ignore"):
        while len(tape) < most and not (steps.astype(bool) | ~finite).all():
            tape.append(x)
            x = neurons.advance(x)
            going = (steps == 0) & finite
            finite &= ~going | np.isfinite(x).all(axis=0)
            steps[going & finite & neurons.crosses(x)] = len(tape)
            x = np.where(going & finite, x, tape[-1])
        lam = np.zeros_like(x)
        lam[neurons.threshold_state] = 1.0
        for n in reversed(range(len(tape))) if effects else ():
            lam = np.where(n < steps, neurons.adjoint(lam, tape[n]), lam)
    return steps, lam[neurons.ports[0]], finite
