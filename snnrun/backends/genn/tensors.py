"""Weights, parameters and Adam's moments of a GeNN model, by the names of the program's tensors."""

from __future__ import annotations

import numpy as np

from snnrun.backends.base import LARGEST_VALUE, Adam
from snnrun.backends.genn.delayed import DELAY
from snnrun.backends.genn.description import Description
from snnrun.backends.genn.device import Device
from snnrun.backends.genn.flags import raised
from snnrun.backends.genn.hosted import Hosted, is_hosted
from snnrun.backends.genn.learning import learned, trained_tensors
from snnrun.backends.genn.printer import genn_name
from snnrun.backends.genn.synapse import FALLING
from snnrun.compile.flow import steps_of
from snnrun.compile.program import DELAYS, WEIGHTS, Program, Tensor
from snnrun.models.equations import symbol


class TensorStore:
    """Reads and writes tensors; coefficients and copies that follow from them stay up to date."""

    def __init__(self, device: Device, description: Description, program: Program) -> None:
        self._device = device
        self._program = program
        self._tensors = {tensor.name: tensor for tensor in program.tensors}
        self._steps = [steps_of(compiled) for compiled in program.populations]
        ends = f"_{FALLING}"
        self._copies = [s.name for s in description.synapses if s.name.endswith(ends)]
        self._updates = [u.name for u in description.updates if u.group == "learn"]
        self._sums = any(u.group == "sum" for u in description.updates)
        precision = {"float": "float32", "double": "float64"}[description.precision]
        self._hosted = {
            t.name: Hosted(t, program, precision) for t in program.tensors if is_hosted(t)
        }

    def set_start(self) -> None:
        """Give parameters and delays the values that the network starts with."""
        for tensor in self._program.tensors:
            if tensor.kind != WEIGHTS:
                self.set(tensor.name, self._program.start_values(tensor))

    def get(self, name: str, which: str = "value") -> np.ndarray:
        """Return a copy of a tensor: ``value``, ``first``, ``second`` moment, or ``gradient``."""
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

    def learn(self, adam: Adam, rate: float, step: int) -> None:
        """Take Adam's ``step``-th step (counted from 1) with the summed gradients."""
        values = {
            "rate": rate / (1 - adam.beta1**step),
            "correction": 1 / (1 - adam.beta2**step),
            "beta1": adam.beta1,
            "beta2": adam.beta2,
            "epsilon": adam.epsilon,
        }
        for update in self._updates:
            for name, value in values.items():
                self._device.set_parameter(update, name, value)
        if self._updates:
            self._device.update("learn")
        for hosted in self._hosted.values():
            if hosted.tensor.trained:
                hosted.learn(self._gradient(hosted), adam, rate, step)
        for tensor in self._program.tensors:
            if tensor.trained:
                self._follow(tensor)

    def add_up(self) -> None:
        """Sum the gradients of the examples that ran, and clear them."""
        if self._sums:
            self._device.update("sum")

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
        return ""

    def snapshot(self) -> dict[tuple[str, str], np.ndarray]:
        """Return everything that ``restore`` needs."""
        return {
            (t.name, which): self.get(t.name, which)
            for t in self._program.tensors
            for which in ("value", "first", "second")[: 3 if t.trained else 1]
        }

    def restore(self, saved: dict[tuple[str, str], np.ndarray]) -> None:
        """Overwrite all tensors."""
        for (name, which), array in saved.items():
            self.set(name, array, which)

    def _gradient(self, hosted: Hosted) -> np.ndarray:
        """Return the gradient of a tensor of the host; what is not trained has none."""
        if not hosted.tensor.trained:
            return np.zeros(hosted.tensor.shape)
        return hosted.gradient(self._device.read(f"{hosted.tensor.name}_sum", "total"))

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
        return (f"{name}_sum", "total") if which == "gradient" else (f"{name}_adam", which)

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
