"""What a GeNN model learns, and the optimiser's states, by the names of the program's tensors."""

from __future__ import annotations

from math import inf

import numpy as np

from snnrun.backends.base import LARGEST_VALUE, Exchange
from snnrun.backends.genn.delayed import DELAY
from snnrun.backends.genn.description import Description
from snnrun.backends.genn.device import Device
from snnrun.backends.genn.flags import raised
from snnrun.backends.genn.hosted import Hosted, is_hosted
from snnrun.backends.genn.learning import TOTAL, in_step, learned, step_of, trained_tensors
from snnrun.backends.genn.printer import genn_name
from snnrun.backends.genn.synapse import FALLING
from snnrun.backends.parts import sum_over_ranks
from snnrun.compile.flow import steps_of
from snnrun.compile.program import DELAYS, WEIGHTS, Program, Tensor
from snnrun.models.equations import symbol
from snnrun.optimisers.evaluate import scale_of, shared_values
from snnrun.optimisers.optimiser import CLIP_VALUE


class TensorStore:
    """Reads and writes tensors; coefficients and copies that follow from them stay up to date."""

    def __init__(self, device: Device, description: Description, program: Program) -> None:
        self._device = device
        self._program = program
        self._tensors = {tensor.name: tensor for tensor in program.tensors}
        self._steps = [steps_of(compiled) for compiled in program.populations]
        ends = f"_{FALLING}"
        self._copies = [s.name for s in description.synapses if s.name.endswith(ends)]
        self._clips = CLIP_VALUE in program.optimiser.given  # which hides NaN
        self._steps_on_device = any(u.group == "learn" for u in description.updates)
        self._sums = any(u.group == "sum" for u in description.updates)
        precision = {"float": "float32", "double": "float64"}[description.precision]
        self._optimiser = program.optimiser.rounded(precision)
        self._hosted = {
            t.name: Hosted(t, program, precision) for t in program.tensors if is_hosted(t)
        }

    def set_start(self) -> None:
        """Give parameters and delays the values that the network starts with."""
        for tensor in self._program.tensors:
            if tensor.kind != WEIGHTS:
                self.set(tensor.name, self._program.start_values(tensor))

    def get(self, name: str, which: str = "value") -> np.ndarray:
        """Return a copy of a tensor: ``value``, ``gradient``, or a state of the optimiser."""
        tensor = self._tensors[name]
        if hosted := self._hosted.get(name):
            return self._gradient(hosted) if which == "gradient" else hosted.held[which].copy()
        if not tensor.parameters:
            return self._row(tensor, "", which).reshape(tensor.shape)
        return np.stack([self._row(tensor, p, which) for p in tensor.parameters])

    def set(self, name: str, array: np.ndarray, which: str = "value") -> None:
        """Overwrite a tensor."""
        tensor = self._tensors[name]
        if np.shape(array) != tensor.shape:
            raise ValueError(f"{name} has shape {tensor.shape}, not {np.shape(array)}")
        if hosted := self._hosted.get(name):
            hosted.held[which][:] = array
        elif not tensor.parameters:
            self._write(tensor, "", which, np.asarray(array))
        for parameter, row in zip(tensor.parameters, array, strict=False):
            self._write(tensor, parameter, which, row)
        if which == "value":
            self._follow(tensor)

    def learn(self, rates: np.ndarray, step: int) -> None:
        """Take the ``step``-th step (counted from 1) with the summed gradients.

        ``rates`` are those of the program's tensors.
        """
        program, update = self._program, self._optimiser
        rated = zip(program.tensors, rates.tolist(), strict=True)
        trained = [(tensor, rate) for tensor, rate in rated if tensor.trained]
        scale = 1.0
        if update.clip_norm is not None:
            scale = scale_of(update, (self._trained_gradient(tensor) for tensor, _ in trained))
        for tensor, rate in trained:
            weights = tensor.kind == WEIGHTS
            shared = shared_values(update, rate=rate, step=step, weights=weights, scale=scale)
            if hosted := self._hosted.get(tensor.name):
                hosted.learn(self._gradient(hosted), update, shared)
                continue
            for row in self._trained_rows(tensor):
                for name, value in shared.items():
                    self._device.set_parameter(step_of(row), in_step(name), value)
        if self._steps_on_device:
            self._device.update("learn")
        for tensor, _ in trained:
            self._follow(tensor)

    def _trained_rows(self, tensor: Tensor) -> list[str]:
        """Return what the updates of a tensor that the device trains begin with."""
        if not tensor.parameters:
            return [learned(tensor.name)]
        trained = self._program.populations[tensor.layer].population.trained
        return [learned(tensor.name, parameter) for parameter in trained]

    def _trained_gradient(self, tensor: Tensor) -> np.ndarray:
        """Return the summed gradient of what is trained of a tensor, as float64."""
        if hosted := self._hosted.get(tensor.name):
            return self._gradient(hosted)
        rows = self._trained_rows(tensor)
        return np.stack([self._device.read(f"{row}_sum", TOTAL).astype(float) for row in rows])

    def add_up(self) -> None:
        """Sum the gradients of the examples that ran, and clear them."""
        if self._sums:
            self._device.update("sum")

    def sum_over_ranks(self, exchange: Exchange, finite: bool) -> bool:
        """Replace the sums of ``add_up`` by those of all ranks; return whether all are finite."""
        trained = [tensor for tensor in self._program.tensors if tensor.trained]
        rows = [row for tensor in trained for row in self._trained_rows(tensor)]
        places = [(f"{row}_sum", TOTAL) for row in rows]
        sums = [self._device.read(*place) for place in places]
        finite = sum_over_ranks(exchange, sums, finite)
        for place, values in zip(places, sums, strict=True):
            self._device.write(*place, values)
        return finite

    def exploded(self) -> str:
        """Return the first trained tensor whose values are not finite or too large, or "".

        A GPU has raised a flag. Fast arithmetic of a CPU takes NaN for a number, and raises none;
        but to look at its memory costs no copy.
        """
        for name, hosted in self._hosted.items():
            if not hosted.sound:
                return name
        trained = trained_tensors(self._program)
        if self._device.apart and trained:
            output = self._program.populations[-1].population.name
            numbers = raised(self._device, output)
            return trained[numbers[0]].name if len(numbers) else ""
        for tensor in trained:
            places = [self._place(tensor, p, "value") for p in tensor.parameters or ("",)]
            if not all(self._device.within(*p, LARGEST_VALUE) for p in places if p is not None):
                return tensor.name
            sums = [(f"{row}_sum", TOTAL) for row in self._trained_rows(tensor)]
            if self._clips and not all(self._device.within(*place, inf) for place in sums):
                return tensor.name
        return ""

    def snapshot(self) -> dict[tuple[str, str], np.ndarray]:
        """Return everything that ``restore`` needs."""
        return {
            (t.name, which): self.get(t.name, which)
            for t in self._program.tensors
            for which in ("value", *t.states)
        }

    def restore(self, saved: dict[tuple[str, str], np.ndarray]) -> None:
        """Overwrite all tensors."""
        for (name, which), array in saved.items():
            self.set(name, array, which)

    def _gradient(self, hosted: Hosted) -> np.ndarray:
        """Return the gradient of a tensor of the host; what is not trained has none."""
        if not hosted.tensor.trained:
            return np.zeros(hosted.tensor.shape)
        return hosted.gradient(self._device.read(f"{hosted.tensor.name}_sum", TOTAL))

    def _place(self, tensor: Tensor, parameter: str, which: str) -> tuple[str, str] | None:
        """Return who holds a tensor (or a row of it) and under which name; None: nobody."""
        population = self._program.populations[tensor.layer].population
        if which == "value":
            owner = population.name if parameter else tensor.name
            return owner, genn_name(symbol(parameter)) if parameter else "g"
        trained = parameter in population.trained if parameter else tensor.trained
        if not trained:
            return None
        name = learned(tensor.name, parameter)
        return (f"{name}_sum", TOTAL) if which == "gradient" else (step_of(name), in_step(which))

    def _row(self, tensor: Tensor, parameter: str, which: str) -> np.ndarray:
        place = self._place(tensor, parameter, which)
        if place is None:
            owner, name = self._place(tensor, parameter, "value") or ("", "")
            return np.zeros_like(self._device.read(owner, name))
        return self._device.read(*place)

    def _write(self, tensor: Tensor, parameter: str, which: str, values: np.ndarray) -> None:
        place = self._place(tensor, parameter, which)
        if place is not None:
            self._device.write(*place, values)

    def _follow(self, tensor: Tensor) -> None:
        """Bring what is computed from a tensor up to date."""
        if (hosted := self._hosted.get(tensor.name)) and tensor.projection is not None:
            variable = DELAY.name if tensor.kind == DELAYS else "g"
            self._device.write(tensor.projection.name, variable, hosted.of_synapses())
        for copy in self._copies:
            if copy == f"{tensor.name}_{FALLING}":
                self._device.write(copy, "g", self._device.read(tensor.name, "g"))
        if tensor.parameters:
            steps, program = self._steps[tensor.layer], self._program
            values = steps.coefficient_values(
                self.get(tensor.name).astype(float), program.dt, program.integrator
            )
            for coefficient, column in list(values.items())[len(tensor.parameters) :]:
                name = program.populations[tensor.layer].population.name
                self._device.write(name, genn_name(coefficient), column)
