"""Noise and spike dropout of training trials, and the way back of spikes that come after their
crossing.

Draws are those of the native backend (runtime/draws.hpp): hashes of (key of example and layer,
neuron, step), so that both backends draw the same. A crossing is kept beside the neuron until the
spike comes, and then with the spike; see compile/derive.py for what becomes of it.
"""

from __future__ import annotations

import numpy as np

from snnrun.backends.draws import dropout_limit
from snnrun.backends.genn.description import Access, Parameter, Table, Variable
from snnrun.backends.genn.printer import Formulas, fill, formula, state_name
from snnrun.backends.genn.settings import Settings

NONE = -9  # a step that is never compared with
KEYS = ("noise_low", "noise_high", "spike_dropout_low", "spike_dropout_high")


class NetworkNoise:
    """What is added to the code of a population; nothing to that of one without noise."""

    def __init__(self, formulas: Formulas, settings: Settings) -> None:
        compiled, steps = formulas.compiled, formulas.steps
        self.noise, self.spike_dropout = compiled.noise, compiled.population.spike_dropout
        self._any = self.noise > 0 or self.spike_dropout > 0
        self._formula = formulas
        self._own = settings.batch * compiled.population.size
        self._spikes = settings.halves * self._own * settings.spikes
        self._precision = settings.precision
        self._jump = compiled.dynamics.jump
        self._ports = compiled.dynamics.neuron.ports
        self._state = str(steps.threshold_state)
        # not where the potential only grazes the threshold, by less than a rounding error in a step
        rounding = formula(float(np.finfo(settings.precision).eps))
        self._moves = f"slope > {rounding} * LEVEL_PER_STEP"

    @property
    def _records(self) -> tuple[str, ...]:
        assert self._jump is not None
        return self._jump.records

    @property
    def variables(self) -> list[Variable]:
        """What neurons hold."""
        if not self._any:
            return []
        keys = [Variable(name=n, type="uint32_t", access=Access.OF_EXAMPLE) for n in KEYS]
        return keys + (
            [Variable(name="cross_due", type="int", value=NONE)] if self.spike_dropout else []
        )

    @property
    def parameters(self) -> list[Parameter]:
        """What the host sets."""
        found = [Parameter(name="noise_acts", type="uint8_t")] if self._any else []
        below = Parameter(
            name="spike_dropout_below", type="uint32_t", value=dropout_limit(self.spike_dropout)
        )
        return [*found, *([below] if self.spike_dropout else [])]

    @property
    def tables(self) -> list[Table]:
        """``_now`` is the crossing that waits for its spike, the others are kept with spikes."""
        if not self.spike_dropout:
            return []
        steps = np.zeros(self._own, np.int32)
        names = ("suppressed_at", "crossed_now", "pending_at")
        found = [Table(name=name, type="int", values=steps) for name in names]
        found.append(
            Table(name="crossed", type="uint16_t", values=np.zeros(self._spikes, np.uint16))
        )
        sizes = {"pending": self._own}
        sizes |= {f"crossing_now_{s}": self._own for s in self._records}
        sizes |= {f"crossing_{s}": self._spikes for s in self._records}
        return found + [
            Table(name=name, type="scalar", values=np.zeros(count, self._precision))
            for name, count in sizes.items()
        ]

    @property
    def declarations(self) -> list[str]:
        """Return what the code of resets sees too."""
        return ["bool postponed = false;"] if self.spike_dropout else []

    @property
    def start(self) -> list[str]:
        """Return what a trial begins with."""
        return [f"suppressed_at[own] = {NONE};"] if self.spike_dropout else []

    @property
    def backward_start(self) -> list[str]:
        """Return what the way back begins with."""
        return [f"cross_due = {NONE};"] if self.spike_dropout else []

    def add_noise(self, refractory: bool) -> list[str]:
        """Return what adds noise to the state that meets the threshold, after the step."""
        if not self.noise:
            return []
        free = " && !held" if refractory else ""
        return fill("noise", free=free, state=state_name(self._state)).splitlines()

    @property
    def drop_spikes(self) -> list[str]:
        """Return what keeps neurons from spiking."""
        if not self.spike_dropout:
            return []
        kept = [f"crossing_now_{s}[own] = {self._on_threshold(s)};" for s in self._records]
        return fill("spike_dropout", kept=" ".join(kept)).splitlines()

    def at_spike(self, state: str) -> str:
        """Return the value of a state that is kept with a spike."""
        if self.spike_dropout and state == self._state:
            return f"postponed ? {state_name(state)} : {self._on_threshold(state)}"
        return self._now(state)

    def _now(self, state: str) -> str:
        return f"arrived_{state}" if state in self._ports else state_name(state)

    def _on_threshold(self, state: str) -> str:
        if state != self._state:
            return self._now(state)
        return self._formula(self._formula.steps.threshold)

    @property
    def kept(self) -> list[str]:
        """Return what is kept with a spike besides the states at it."""
        if not self.spike_dropout:
            return []
        kept = [f"crossing_{s}[at] = crossing_now_{s}[own];" for s in self._records]
        return [
            "    crossed[at] = n;",
            f"    if (postponed) {{ crossed[at] = crossed_now[own]; {' '.join(kept)} }}",
        ]

    def drive(self, strength: str) -> list[str]:
        """Return the drive of a spike; that of a postponed one waits for the crossing."""
        if not self.spike_dropout:
            return [f"const scalar drive = {self._moves} ? ({strength}) / slope : 0.0;"]
        return [
            f"const scalar strength = {strength};",
            "const bool delayed = (int)crossed[at] < m;",
            f"const scalar drive = {self._moves} && !delayed ? strength / slope : 0.0;",
            "if (delayed) {",
            "    pending[own] = strength;",
            "    pending_at[own] = at;",
            "    cross_due = (int)crossed[at];",
            "}",
        ]

    @property
    def cross(self) -> list[str]:
        """Return what the crossing of a postponed spike does on the way back."""
        if not self.spike_dropout:
            return []
        assert self._jump is not None
        jump = self._jump
        inner = [
            "const int at = pending_at[own];",
            *(f"const scalar spike_{s} = crossing_{s}[at];" for s in self._records),
            f"const scalar slope = {self._formula(jump.slope, 'spike')};",
            f"const scalar drive = {self._moves} ? pending[own] / slope : 0.0;",
            *self._formula.changes(jump.crossing, jump.crossing_parameters),
            f"cross_due = {NONE};",
        ]
        return ["if (cross_due == m) {", *(f"    {line}" for line in inner), "}"]
