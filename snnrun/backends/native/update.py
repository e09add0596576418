"""A compiled population whose neuron is declared by an update, as a C++ struct."""

from __future__ import annotations

from snnrun.backends.native.per_neuron import PerNeuron
from snnrun.backends.native.population import PopulationEmitter
from snnrun.backends.native.printer import fill, indented, print_formula
from snnrun.compile.discrete import StepBack
from snnrun.compile.update import UpdateSteps
from snnrun.models.equations import symbol


class PerUpdatedNeuron(PerNeuron):
    """Writes the coefficients of parts of the update that hold parameters only."""

    steps: UpdateSteps

    def _prepare_lines(self) -> list[str]:
        own = [symbol(name) for name in self.compiled.per_neuron]
        values = [*own, *self.steps.parts.values()]
        lines = self.body.loads(values)
        lines += [
            f"k[{i} * STRIDE] = Real({print_formula(value, '{}')});"
            for i, value in enumerate(values)
        ]
        return lines


class UpdateEmitter(PopulationEmitter):
    """Writes one population: its step is the update, carried out as one map of all states."""

    steps: UpdateSteps
    per_neuron = PerUpdatedNeuron

    def _count(self) -> str:
        if self.neuron.count is None:
            return ""
        return fill("count", count=indented(self._count_lines(self.states)))

    def _count_lines(self, states: tuple[str, ...]) -> list[str]:
        """Return lines that compute the count from the ``states`` in x.

        V / v_thresh divides: a product with the inverse rounds otherwise.
        """
        count = self.neuron.system.count
        assert count is not None
        lines = self.body.lines(list(count.free_symbols), states=states)
        wanted = f"splat({print_formula(count)})"
        return [*lines, f"return minimum(maximum({wanted}, Real(1)), Real(MOST_SPIKES));"]

    def _step_back_lines(self, step: StepBack) -> list[str]:
        lines = super()._step_back_lines(step)
        if not step.counted:
            return lines
        counted = [f"    {line}" for line in self._count_lines(step.taped)]
        counted = ["const auto count_of = [&]() -> vf {", *counted, "};"]
        return [*counted, "const vf spikes = spiking ? count_of() : vf{};", *lines]
