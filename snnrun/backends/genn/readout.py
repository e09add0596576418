"""What a loss adds to the output population, and the updates between the two passes.

A readout collects y during the forward pass; after it, updates run the softmax over the outputs and
leave what the backward pass needs: the derivative ``delta`` of the loss by y, or the derivative by
the first spike's time. ``label`` and ``scale`` (1 / examples in the mini-batch, 0 for padding) are
set by the host for each example. The readouts are those of snnrun/models/losses.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import sympy as sp

from snnrun.backends.genn.description import Access, Reference, Table, Update, Variable
from snnrun.backends.genn.printer import adjoint_name, factor, formula, genn_name, state_name, used
from snnrun.backends.genn.settings import Settings
from snnrun.compile.loss import BoundLoss, bind_loss
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program
from snnrun.models.equations import internal, symbol

Made = Sequence[tuple[str, Access]]  # variables of an update: name, how neurons are reduced
Row = Callable[..., str]  # of a step's name: the index of this neuron in a table of all steps
UPDATES = ("loss_top", "loss_total", "loss_delta")  # groups, in the order in which they run
OF_EXAMPLE = (
    Variable(name="label", type="int", access=Access.OF_EXAMPLE, value=-1),
    Variable(name="scale", access=Access.OF_EXAMPLE),
)


class Watched:
    """What is added to a population; this one adds nothing, as to a hidden layer.

    Methods return lines of code for the places that their names tell.
    """

    variables: tuple[Variable, ...] = ()
    tables: tuple[Table, ...] = ()
    inputs: tuple[str, ...] = ()
    numbers: Mapping[str, float] = MappingProxyType({})  # that its code may name
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
    """Common to all readouts: the output's names and its loss.

    ``prefix`` keeps the loss's keys apart from the names of the neuron in whose code they stand.
    """

    prefix = ""

    def __init__(self, program: Program, settings: Settings) -> None:
        self.program = program
        self.compiled: CompiledPopulation = program.populations[-1]
        self.name = self.compiled.population.name
        self.potential = state_name(self.compiled.dynamics.neuron.states[0])
        self.adjoint = adjoint_name(self.compiled.dynamics.neuron.states[0])
        self.loss: BoundLoss = bind_loss(program)
        self.settings = settings
        self._names = {s: f"{self.prefix}{genn_name(s)}" for s in self.loss.numbers}
        self.keys = {self._names[s]: value for s, value in self.loss.numbers.items()}

    @property
    def numbers(self) -> Mapping[str, float]:  # type: ignore[override]
        """The loss's keys, where its expressions stand in the neuron's code."""
        return self.keys if self.prefix else {}

    def of(self, expression: sp.Expr, **names: sp.Expr) -> str:
        """Return an expression of the loss as code: ``names`` are what y, V and t are there."""
        keys = {s: internal(name) for s, name in self._names.items()}
        return formula(expression.xreplace({symbol(n): e for n, e in names.items()} | keys))

    def of_y(self, expression: sp.Expr, y: str = "y") -> str:
        """Return an expression of the readout as code, with y called ``y``."""
        return self.of(expression, y=internal(y))

    def within(self, step: str) -> str:
        """Return the condition that a step counts (LOSS_WINDOW), where not all of them do."""
        if self.program.window is None:
            return ""
        counted = self.loss.counted
        return f"if ({step} >= {counted.start} && {step} < {counted.stop}) "

    def slope(self, y: str = "y") -> str:
        """Return code that defines the derivative of the cross entropy by y.

        Of the label it is minus ``rest``, the shares of the others: p - 1 would lose the digits.
        """
        score_slope = factor(self.of_y(self.loss.score_slope, y))
        return f"scalar slope = (id == label ? -rest / total : p) * {score_slope};"

    def reference(self, name: str, *, type: str = "scalar", written: bool = False) -> Reference:
        """Return a reference to a variable of the output."""
        return Reference(name=name, owner=self.name, variable=name, type=type, written=written)

    def softmax(self, y: str, references: tuple[Reference, ...], delta: str) -> list[Update]:
        """Return three updates: largest score, sum of exponentials, and ``delta``, which uses p.

        ``y`` is code that defines y from the ``references``. ``rest`` is the sum without the label.
        """
        score = self.of_y(self.loss.score)
        share = f"const scalar share = exp({score} - top);\n"
        return self.reductions(
            (*references, *self._missing(references, self.reference("label", type="int"))),
            top=f"{y}top = {score};\n",
            total=f"{y}{share}total = share;\nrest = id == label ? 0.0 : share;\n",
            delta=f"{y}{share}const scalar p = share / total;\n{delta}",
            sums=("total", "rest"),
        )

    def reductions(
        self,
        references: tuple[Reference, ...],
        *,
        top: str,
        total: str,
        delta: str,
        sums: tuple[str, ...] = ("total",),
    ) -> list[Update]:
        """Return three updates: code whose largest ``top`` over the outputs is taken, code whose
        ``sums`` are summed and may use it, and code that fills what the backward pass needs.
        """

        def update(name: str, code: str, *more: Reference, makes: Made = ()) -> Update:
            made = tuple(Variable(name=name, access=access) for name, access in makes)
            return Update(
                name=f"loss_{name}",
                group=f"loss_{name}",
                code=code,
                references=(*references, *more),
                variables=made,
                parameters=used(code, self.keys),
            )

        of_top = Reference(name="top", owner="loss_top", variable="top")
        of_sums = [Reference(name=s, owner="loss_total", variable=s) for s in sums]
        return [
            update("top", top, makes=[("top", Access.LARGEST_OF_NEURONS)]),
            update("total", total, of_top, makes=[(s, Access.SUM_OF_NEURONS) for s in sums]),
            update("delta", delta, *self._written(references), of_top, *of_sums),
        ]

    def _written(self, references: tuple[Reference, ...]) -> tuple[Reference, ...]:
        """Return the further references of the last update: to the example, and what it fills."""
        own = self.reference("label", type="int"), self.reference("scale")
        return (*self._missing(references, *own), *self.filled())

    def _missing(self, known: tuple[Reference, ...], *wanted: Reference) -> list[Reference]:
        """Return those of the ``wanted`` references whose names are not known."""
        return [r for r in wanted if r.name not in {k.name for k in known}]

    def filled(self) -> tuple[Reference, ...]:
        """Return references to what the last update fills."""
        return (self.reference("delta", written=True),)
