"""The readouts of first spike times in a GeNN model; see readout.py."""

from __future__ import annotations

from snnrun.backends.genn.description import Access, Reference, Update, Variable
from snnrun.backends.genn.printer import factor, formula
from snnrun.backends.genn.readout import OF_EXAMPLE, OfOutput
from snnrun.compile.loss import LAG
from snnrun.models.equations import internal


class FirstSpike(OfOutput):
    """y = time of the first spike (ms); an output without one counts as late, or not at all."""

    outputs = ("first_step",)
    timed = True
    start = ("first_step = -1;",)
    spike = ("if (count[own] == 0) first_step = n;",)
    variables = (
        *OF_EXAMPLE,
        Variable(name="first_step", type="int", value=-1),
        Variable(name="time_gradient"),
        Variable(name="push"),
    )

    def backward_start(self, adjoint: str) -> list[str]:
        """Return the push of a label's output that was silent."""
        return [f"{adjoint} = push;"]

    def filled(self) -> tuple[Reference, ...]:
        """Return references to the derivative by the spike's time, and to the push."""
        return (
            self.reference("time_gradient", written=True),
            self.reference("push", written=True),
            *(self._silent() if self.program.loss.silent_excluded else ()),
        )

    def _silent(self) -> tuple[Reference, ...]:
        return (Reference(name="label_silent", owner="loss_silent", variable="label_silent"),)

    def _time(self, silent: str) -> str:
        """Return code that defines y, which is ``silent`` without a spike."""
        dt = formula(self.program.dt)
        return f"const scalar y = first_step < 0 ? ({silent}) : (first_step + 1) * {dt};\n"

    def _read(self) -> tuple[Reference, ...]:
        return (self.reference("first_step", type="int"), self.reference("label", type="int"))

    def updates(self) -> list[Update]:
        """Return the softmax over first spikes, dL/dt of each, and the push."""
        excluded = self.program.loss.silent_excluded
        late = formula(self.program.duration + 1)
        silent = f"id == label ? {late} : 1e9" if excluded else late
        end = formula(self.program.duration)
        y = self._time(silent)
        push = factor(formula(-self.loss.silent_push))
        learns = "label_silent < 0.5 && " if excluded else ""
        delta = (
            f"{self.slope()}\n"
            f"const scalar own = fmin(y, {end});\n"
            f"if (id == label) slope += {self.of_y(self.loss.label_term_slope, 'own')};\n"
            f"time_gradient = {learns}first_step >= 0 ? slope * scale : 0.0;\n"
            f"push = id == label && first_step < 0 ? {push} * scale : 0.0;\n"
        )
        read = self._read()
        silent_label = Update(
            name="loss_silent",
            group="loss_top",
            references=read,
            code="label_silent = id == label && first_step < 0 ? 1.0 : 0.0;\n",
            variables=(Variable(name="label_silent", access=Access.LARGEST_OF_NEURONS),),
        )
        return [*([silent_label] if excluded else []), *self.softmax(y, read, delta)]


class FirstSpikeLag(FirstSpike):
    """y as FirstSpike has it; the lags behind the label's are compared, not scores.

    The updates find the label's y (``top``), and the others' sum of dL/dy (``total``).
    """

    def updates(self) -> list[Update]:
        """Return the label's time, the others' derivatives by theirs, dL/dt, and the push."""
        late, end = (formula(self.program.duration + x) for x in (1, 0))
        y = self._time(late) + "const bool own = id == label;\n"
        of_lag = formula(self.loss.lag_slope.subs(LAG, internal("d")))
        slope = f"const scalar d = y - top;\nconst scalar other = {of_lag};\n"
        term = self.of_y(self.loss.label_term_slope, "counted")
        delta = (
            f"{slope}const scalar counted = fmin(y, {end});\n"
            f"const scalar slope = own ? {term} - total : other;\n"
            "time_gradient = first_step >= 0 ? slope * scale : 0.0;\n"
            f"push = own && first_step < 0 ? -({formula(self.loss.silent_factor)}) * slope * scale"
            " : 0.0;\n"
        )
        return self.reductions(
            self._read(),
            top=f"{y}top = own ? y : -1.0;\n",
            total=f"{y}{slope}total = own ? 0.0 : other;\n",
            delta=y + delta,
        )
