"""What a loss adds to the output population, and the updates between the two passes.

A readout collects y during the forward pass; after it, updates run the softmax over the outputs and
leave what the backward pass needs: the derivative ``delta`` of the loss by y, or the derivative by
the first spike's time. ``label`` and ``scale`` (1 / examples in the mini-batch, 0 for padding) are
set by the host for each example. The readouts are those of snnrun/models/losses.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp

from snnrun.backends.genn.description import Access, Reference, Table, Update, Variable
from snnrun.backends.genn.printer import adjoint_name, formula, state_name
from snnrun.backends.genn.settings import Settings
from snnrun.compile.loss import TIME, BoundLoss, V, Y, bind_loss
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program
from snnrun.models.equations import internal, symbol

Row = Callable[..., str]  # of a step's name: the index of this neuron in a table of all steps
UPDATES = ("loss_top", "loss_total", "loss_delta")  # groups, in the order in which they run
OF_EXAMPLE = (
    Variable(name="label", type="int", access=Access.OF_EXAMPLE, value=-1),
    Variable(name="scale", access=Access.OF_EXAMPLE),
)


def of_y(expression: sp.Expr, y: str = "y") -> str:
    """Return an expression of the readout as code, with y called ``y``."""
    return formula(sp.sympify(expression).subs(Y, internal(y)))


class Watched:
    """What is added to a population; this one adds nothing, as to a hidden layer.

    Methods return lines of code for the places that their names tell.
    """

    variables: tuple[Variable, ...] = ()
    tables: tuple[Table, ...] = ()
    inputs: tuple[str, ...] = ()
    start: tuple[str, ...] = ()  # of a trial
    arrivals: tuple[str, ...] = ()  # just after the arrivals of a step
    spike: tuple[str, ...] = ()
    timed = False  # whether spike times enter the loss
    outputs: tuple[str, ...] = ()  # variables that the host reads after the forward pass
    steps_after = 0  # further steps of the forward pass

    def observe(self, row: str) -> list[str]:
        """Return what looks at the states after a step, before a reset."""
        return []

    def after(self, row: Row) -> list[str]:
        """Return what runs in every step of the forward pass, the further ones too."""
        return []

    def backward_start(self, adjoint: str) -> list[str]:
        """Return what begins the backward pass; ``adjoint`` is that of the potential."""
        return []

    def drive(self, row: str) -> list[str]:
        """Return what the loss adds to the adjoint in a step."""
        return []

    def updates(self) -> list[Update]:
        """Return the updates between the passes."""
        return []


class OfOutput(Watched):
    """Common to all readouts: the output's names and its loss."""

    def __init__(self, program: Program, settings: Settings) -> None:
        self.program = program
        self.compiled: CompiledPopulation = program.populations[-1]
        self.name = self.compiled.population.name
        self.potential = state_name(self.compiled.dynamics.neuron.states[0])
        self.adjoint = adjoint_name(self.compiled.dynamics.neuron.states[0])
        self.loss: BoundLoss = bind_loss(program)
        self.settings = settings

    def reference(self, name: str, *, type: str = "scalar", written: bool = False) -> Reference:
        """Return a reference to a variable of the output."""
        return Reference(name=name, owner=self.name, variable=name, type=type, written=written)

    def softmax(self, y: str, references: tuple[Reference, ...], delta: str) -> list[Update]:
        """Return three updates: largest score, sum of exponentials, and ``delta``, which uses p.

        ``y`` is code that defines y from the ``references``.
        """
        score = of_y(self.loss.score)
        p = f"const scalar p = exp({score} - top) / total;\n"
        return self.reductions(
            references,
            top=f"{y}top = {score};\n",
            total=f"{y}total = exp({score} - top);\n",
            delta=f"{y}{p}{delta}",
        )

    def reductions(
        self, references: tuple[Reference, ...], *, top: str, total: str, delta: str
    ) -> list[Update]:
        """Return three updates: code whose largest ``top`` over the outputs is taken, code whose
        ``total`` is summed and may use it, and code that fills what the backward pass needs.
        """
        of_top = Reference(name="top", owner="loss_top", variable="top")
        of_total = Reference(name="total", owner="loss_total", variable="total")
        largest = Variable(name="top", access=Access.LARGEST_OF_NEURONS)
        summed = Variable(name="total", access=Access.SUM_OF_NEURONS)
        return [
            Update(
                name="loss_top",
                group="loss_top",
                code=top,
                references=references,
                variables=(largest,),
            ),
            Update(
                name="loss_total",
                group="loss_total",
                code=total,
                references=(*references, of_top),
                variables=(summed,),
            ),
            Update(
                name="loss_delta",
                group="loss_delta",
                code=delta,
                references=(*self._written(references), of_top, of_total),
            ),
        ]

    def _written(self, references: tuple[Reference, ...]) -> tuple[Reference, ...]:
        """Return the references of the last update: what it reads of the example, and fills."""
        known = {r.name for r in references}
        own = [self.reference("label", type="int"), self.reference("scale")]
        return (*references, *(r for r in own if r.name not in known), *self.filled())

    def filled(self) -> tuple[Reference, ...]:
        """Return references to what the last update fills."""
        return (self.reference("delta", written=True),)


class OfNumber(OfOutput):
    """Readouts with one number y per output."""

    outputs = ("y",)

    def updates(self) -> list[Update]:
        """Return the softmax and dL/dy."""
        delta = (
            f"scalar slope = (p - (id == label ? 1.0 : 0.0)) * {of_y(self.loss.score_slope)};\n"
            f"if (id == label) slope += {of_y(self.loss.label_term_slope)};\n"
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
        weight, decay = (
            formula(sp.Float(x, 17))
            for x in (self.loss.accumulator_weight, self.loss.accumulator_decay)
        )
        return (f"activity = (activity + {weight} * Activity) * {decay};",)

    def observe(self, row: str) -> list[str]:
        """Return the sum's next term."""
        return [
            f"activities[{row}] = activity;",
            f"y += weight[n] * activity * {self.potential};",
        ]

    def drive(self, row: str) -> list[str]:
        """Return dL/dV of a step."""
        return [f"{self.adjoint} += weight[m] * activities[{row}] * delta;"]


class Integral(OfNumber):
    """y = dt / T sum over n of integrand(V(n), t_n)."""

    start: tuple[str, ...] = ("y = 0.0;",)
    variables: tuple[Variable, ...] = (*OF_EXAMPLE, Variable(name="y"), Variable(name="delta"))

    @property
    def tables(self) -> tuple[Table, ...]:  # type: ignore[override]
        """Potentials of every step."""
        size = self.compiled.population.size * self.program.steps * self.settings.batch
        zeros = np.zeros(size * self.settings.halves, self.settings.precision)
        return (Table(name="potential", type="scalar", values=zeros),)

    def _of(self, expression: sp.Expr, step: str) -> str:
        time = internal(step) + 1
        share = sp.Float(1 / self.program.steps, 17)
        return formula(
            share * expression.subs({V: internal("at_output"), TIME: time * self.program.dt})
        )

    def observe(self, row: str) -> list[str]:
        """Return the sum's next term, and the store of the potential."""
        return [
            f"const scalar at_output = {self.potential};",
            f"potential[{row}] = at_output;",
            f"y += {self._of(self.loss.integrand, 'n')};",
        ]

    def drive(self, row: str) -> list[str]:
        """Return dL/dV of a step."""
        return [
            f"const scalar at_output = potential[{row}];",
            f"{self.adjoint} += delta * {self._of(self.loss.integrand_slope, 'm')};",
        ]


class Maximum(OfNumber):
    """y = max over n of V(n).

    Where arriving spikes turn a rising potential into a falling one, its maximum lies at their time
    and moves with it. So synapses that pull it down are also summed apart (input ``Falling``), and
    get their share of the rate V' before the peak sent back (``kink``).
    """

    inputs = ("Falling",)
    arrivals = ("if (n > 0 && n == peak + 1) { pulled = Isyn; falling = Falling; }",)

    @property
    def variables(self) -> tuple[Variable, ...]:  # type: ignore[override]
        """The peak, and what arrives just after it."""
        names = ("y", "delta", "pulled", "falling", "kink", "share")
        return (
            *OF_EXAMPLE,
            *(Variable(name=name) for name in (*names, *(f"peak_{s}" for s in self._states))),
            Variable(name="peak", type="int"),
            Variable(name="peak_back", type="int"),
        )

    @property
    def _rate(self) -> sp.Expr:
        return self.compiled.fold(self.compiled.dynamics.readout_rate)

    @property
    def _states(self) -> tuple[str, ...]:
        states = self.compiled.dynamics.neuron.states
        return tuple(s for s in states if symbol(s) in self._rate.free_symbols)

    def observe(self, row: str) -> list[str]:
        """Return the search for the first maximum."""
        at_peak = [f"peak_{s} = {state_name(s)};" for s in self._states]
        return [
            f"if (n == 0 || {self.potential} > y) {{",
            *(f"    {x}" for x in (f"y = {self.potential};", "peak = n;", *at_peak)),
            "    pulled = 0.0;",
            "    falling = 0.0;",
            "}",
        ]

    def backward_start(self, adjoint: str) -> list[str]:
        """Return the share of each unit of pull in the peak's movement."""
        pull = formula(self.compiled.fold(self.compiled.dynamics.readout_pull))
        rise = formula(self._rate.subs({symbol(s): internal(f"peak_{s}") for s in self._states}))
        return [
            "peak_back = peak;",
            "kink = 0.0;",
            f"const scalar rise = {rise};",
            f"const bool moves = rise > 0.0 && rise + {pull} * pulled < 0.0;",
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
        own, each = of_y(self.loss.score, "own"), of_y(self.loss.score, "other")
        score_slope = of_y(self.loss.score_slope, "own")
        size = self.compiled.population.size
        return [
            "if (step > 1) {",
            f"    const int at = {row('(n - 1)', back=False)};",
            "    const int others = at - id;",
            "    const scalar own = potential[at];",
            f"    scalar top = {own};",
            f"    for (int k = 0; k < {size}; k++) {{",
            "        const scalar other = potential[others + k];",
            f"        top = fmax(top, {each});",
            "    }",
            "    scalar total = 0.0;",
            f"    for (int k = 0; k < {size}; k++) {{",
            "        const scalar other = potential[others + k];",
            f"        total += exp({each} - top);",
            "    }",
            f"    const scalar p = exp({own} - top) / total;",
            "    mean_score += p;",
            f"    scalar slope = (p - (id == label ? 1.0 : 0.0)) * {score_slope};",
            "    if (id == label) {",
            f"        loss += log(total) + top - {own} + {of_y(self.loss.label_term, 'own')};",
            f"        slope += {of_y(self.loss.label_term_slope, 'own')};",
            "    }",
            f"    slopes[at] = slope * scale * {formula(sp.Float(1 / self.program.steps, 17))};",
            "}",
        ]

    def drive(self, row: str) -> list[str]:
        """Return dL/dV of a step."""
        return [f"{self.adjoint} += slopes[{row}];"]
