"""The readouts of the output's potential in a GeNN model; see readout.py."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import sympy as sp

from snnrun.backends.genn.arrivals import inputs_of
from snnrun.backends.genn.description import Table, Update, Variable
from snnrun.backends.genn.printer import Formulas, formula, pull_name, state_name
from snnrun.backends.genn.readout import OF_EXAMPLE, OfOutput, Row
from snnrun.models.equations import internal


class OfNumber(OfOutput):
    """Readouts with one number y per output."""

    outputs = ("y",)

    def updates(self) -> list[Update]:
        """Return the softmax and dL/dy."""
        delta = (
            f"{self.slope()}\n"
            f"if (id == label) slope += {self.of_y(self.loss.label_term_slope)};\n"
            "delta = slope * scale;\n"
        )
        return self.softmax("", (self.reference("y"),), delta)


class WeightedSum(OfNumber):
    """y = sum over n of weight(n) V(n)."""

    start: tuple[str, ...] = ("y = 0.0;",)
    variables: tuple[Variable, ...] = (*OF_EXAMPLE, Variable(name="y"), Variable(name="delta"))

    @property
    def tables(self) -> tuple[Table, ...]:  # type: ignore[override]
        """The weights in time."""
        weights = self.loss.weights(self.program.steps, self.program.dt)
        return (
            Table(name="weight", type="scalar", values=weights.astype(self.settings.precision)),
        )

    def observe(self, row: str) -> list[str]:
        """Return the sum's next term."""
        return [f"y += weight[n] * {self.potential};"]

    def drive(self, row: str) -> list[str]:
        """Return dL/dV of a step."""
        return [f"{self.adjoint} += weight[m] * delta;"]


class InputWeightedSum(WeightedSum):
    """y = sum over n of weight(n) f(n) V(n), f the activity of the example's input.

    The output counts the input's spikes, those that dropout leaves (input ``Activity``), and keeps
    f for the way back.
    """

    inputs = ("Activity",)
    start: tuple[str, ...] = (*WeightedSum.start, "activity = 0.0;")
    variables: tuple[Variable, ...] = (*WeightedSum.variables, Variable(name="activity"))

    @property
    def tables(self) -> tuple[Table, ...]:  # type: ignore[override]
        """The weights in time, and the activity in every step."""
        size = self.compiled.population.size * self.program.steps * self.settings.batch
        kept = np.zeros(size * self.settings.halves, self.settings.precision)
        return (*super().tables, Table(name="activities", type="scalar", values=kept))

    @property
    def arrivals(self) -> tuple[str, ...]:  # type: ignore[override]
        """Return the activity's step."""
        step = "(activity + ACCUMULATOR_WEIGHT * Activity) * ACCUMULATOR_DECAY"
        return (f"activity = {step};",)

    @property
    def numbers(self) -> Mapping[str, float]:  # type: ignore[override]
        """What the activity's step takes."""
        return self.loss.accumulator

    def observe(self, row: str) -> list[str]:
        """Return the sum's next term."""
        return [f"activities[{row}] = activity;", f"y += weight[n] * activity * {self.potential};"]

    def drive(self, row: str) -> list[str]:
        """Return dL/dV of a step."""
        return [f"{self.adjoint} += weight[m] * activities[{row}] * delta;"]


class Integral(OfNumber):
    """y = dt / T sum over n of integrand(V(n), t_n)."""

    prefix = "loss_"
    start: tuple[str, ...] = ("y = 0.0;",)
    variables: tuple[Variable, ...] = (*OF_EXAMPLE, Variable(name="y"), Variable(name="delta"))

    @property
    def tables(self) -> tuple[Table, ...]:  # type: ignore[override]
        """Potentials of every step."""
        size = self.compiled.population.size * self.program.steps * self.settings.batch
        zeros = np.zeros(size * self.settings.halves, self.settings.precision)
        return (Table(name="potential", type="scalar", values=zeros),)

    def _of(self, expression: sp.Expr, step: str) -> str:
        time = (internal(step) + 1) * self.program.dt
        share = sp.Float(1 / self.loss.steps_counted, 17)
        return self.of(share * expression, V=internal("at_output"), t=time)

    def observe(self, row: str) -> list[str]:
        """Return the sum's next term, and the store of the potential."""
        return [
            f"const scalar at_output = {self.potential};",
            f"potential[{row}] = at_output;",
            f"{self.within('n')}y += {self._of(self.loss.integrand, 'n')};",
        ]

    def drive(self, row: str) -> list[str]:
        """Return dL/dV of a step."""
        return [
            f"const scalar at_output = potential[{row}];",
            f"{self.within('m')}{self.adjoint} += delta * "
            f"{self._of(self.loss.integrand_slope, 'm')};",
        ]


class Maximum(OfNumber):
    """y = max over n of V(n).

    Where arriving spikes turn a rising potential into a falling one, its maximum lies at their time
    and moves with it. So synapses that pull it down are also summed apart (input ``Falling``), and
    get their share of the rate V' before the peak sent back (``kink``). An arrival at port k
    changes the rate by ``pull_k`` times its weight.
    """

    inputs = ("Falling",)

    @property
    def start(self) -> tuple[str, ...]:  # type: ignore[override]
        """Return the pulls, which synapses read."""
        pulls = self.compiled.dynamics.readout_pulls
        return tuple(f"{pull_name(k)} = {self._formula(pulls[k])};" for k in self._moving)

    @property
    def _moving(self) -> dict[int, list[str]]:
        return inputs_of(self.program, self.name, moving=True)

    @property
    def variables(self) -> tuple[Variable, ...]:  # type: ignore[override]
        """The peak, and what arrives just after it."""
        names = ("y", "delta", "pulled", "falling", "kink", "share", *map(pull_name, self._moving))
        return (
            *OF_EXAMPLE,
            *(Variable(name=name) for name in (*names, *(f"peak_{s}" for s in self._states))),
            Variable(name="peak", type="int"),
            Variable(name="peak_back", type="int"),
        )

    @property
    def arrivals(self) -> tuple[str, ...]:  # type: ignore[override]
        """Return what pulls the potential just after its peak."""
        moving = self._moving.items()
        pulled = [f"{pull_name(k)} * {name}" for k, names in moving for name in names]
        if not pulled:
            return ()
        code = f"pulled = {' + '.join(pulled)}; falling = Falling;"
        after_first = f"n > {self.loss.counted.start}"
        return (f"{self.within('n')}if ({after_first} && n == peak + 1) {{ {code} }}",)

    @cached_property
    def _formula(self) -> Formulas:
        return Formulas(self.compiled)

    @property
    def _states(self) -> tuple[str, ...]:
        return self._formula.states_in(self.compiled.dynamics.readout_rate)

    def observe(self, row: str) -> list[str]:
        """Return the search for the first maximum."""
        at_peak = [f"peak_{s} = {state_name(s)};" for s in self._states]
        return [
            f"{self.within('n')}if (n == {self.loss.counted.start} || {self.potential} > y) {{",
            *(f"    {x}" for x in (f"y = {self.potential};", "peak = n;", *at_peak)),
            "    pulled = 0.0;",
            "    falling = 0.0;",
            "}",
        ]

    def backward_start(self, adjoint: str) -> list[str]:
        """Return the share of each unit of pull in the peak's movement."""
        rise = self._formula(self.compiled.dynamics.readout_rate, "peak")
        return [
            *self.start,
            "peak_back = peak;",
            "kink = 0.0;",
            f"const scalar rise = {rise};",
            "const bool moves = rise > 0.0 && rise + pulled < 0.0;",
            "share = moves ? delta * rise / falling : 0.0;",
        ]

    def drive(self, row: str) -> list[str]:
        """Return dL/dV at the peak; what is sent back with the arrivals of the step after it."""
        return [
            f"if (m == peak_back) {self.adjoint} += delta;",
            "kink = m == peak_back + 1 ? share : 0.0;",
        ]


class EachStep(OfOutput):
    """Cross entropy in every step: each output reads the potentials of all in the step after."""

    prefix = "loss_"
    outputs = ("mean_score", "loss")
    steps_after = 1
    start = ("mean_score = 0.0;", "loss = 0.0;")
    variables = (*OF_EXAMPLE, Variable(name="mean_score"), Variable(name="loss"))

    @property
    def tables(self) -> tuple[Table, ...]:  # type: ignore[override]
        """Potentials of every step, and dL/dV."""
        size = self.compiled.population.size * self.program.steps * self.settings.batch
        size *= self.settings.halves
        zeros = np.zeros(size, self.settings.precision)
        return tuple(Table(name=n, type="scalar", values=zeros) for n in ("potential", "slopes"))

    def observe(self, row: str) -> list[str]:
        """Return the store of the potential."""
        return [f"potential[{row}] = {self.potential};"]

    def after(self, row: Row) -> list[str]:
        """Return the softmax of the step before."""
        own, each = self.of_y(self.loss.score, "own"), self.of_y(self.loss.score, "other")
        size = self.compiled.population.size
        return [
            f"if (step > 1) {self.within('(n - 1)')}{{",
            f"    const int at = {row('(n - 1)', back=False)};",
            "    const int first = at - id;",
            "    const scalar own = potential[at];",
            f"    scalar top = {own};",
            f"    for (int k = 0; k < {size}; k++) {{",
            "        const scalar other = potential[first + k];",
            f"        top = fmax(top, {each});",
            "    }",
            "    scalar rest = 0.0;",  # of the other outputs
            f"    for (int k = 0; k < {size}; k++) {{",
            "        const scalar other = potential[first + k];",
            f"        rest += k == id ? 0.0 : exp({each} - top);",
            "    }",
            f"    const scalar share = exp({own} - top);",
            "    const scalar total = rest + share;",
            "    const scalar p = share / total;",
            "    mean_score += p;",
            f"    {self.slope('own')}",
            "    if (id == label) {",
            f"        loss += p > 0.5 ? log1p(rest / share) : log(total) + top - {own};",
            f"        loss += {self.of_y(self.loss.label_term, 'own')};",
            f"        slope += {self.of_y(self.loss.label_term_slope, 'own')};",
            "    }",
            f"    slopes[at] = slope * scale * {formula(1 / self.loss.steps_counted)};",
            "}",
        ]

    def drive(self, row: str) -> list[str]:
        """Return dL/dV of a step."""
        return [f"{self.adjoint} += slopes[{row}];"]
