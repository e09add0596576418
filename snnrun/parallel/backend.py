"""A backend of which every rank has one: what rank 0 asks of it, all of them do together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnrun.backends.base import NO_NOISE, UNSEEN, Backend, Exchange, Noise, Results, Trial
from snnrun.datasets.spikes import SpikeData, Splits
from snnrun.parallel.copies import Copies
from snnrun.parallel.world import World

MOST_BLOCKS = 4  # of prepared data that are kept
BY_EXAMPLE = ("loss", "prediction", "layer_spikes")
SPLITS = -1  # their number among what is handed out
SUMMED = ("neuron_spikes", "dropped_spikes", "activations")


class Part:
    """The backend of one rank, and its part of each call.

    Args:
        backend: Of this rank.
        exchange: With the others.
        copies: Of the data, by number.
    """

    def __init__(self, backend: Backend, exchange: Exchange, copies: Copies) -> None:
        self.backend = backend
        self.copies = copies
        self._known = known(copies[SPLITS])
        self._exchange = exchange
        backend.exchange = exchange

    def call(self, what: str, *arguments: Any) -> Any:
        """Do this rank's part of a call, and return what comes of it."""
        return getattr(self, what)(*arguments)

    def hand_out(self, number: int) -> None:
        """Take data that rank 0 hands out."""
        self.copies.hand_out(number)

    def forget(self, number: int) -> None:
        """Free data."""
        self.copies.forget(number)

    def _data(self, number: int) -> SpikeData:
        return self._known[number] if number < len(self._known) else self.copies[number]

    def set(self, name: str, array: np.ndarray, which: str) -> None:
        """Overwrite a tensor."""
        self.backend.set(name, array, which)

    def train(self, counting: tuple[int | None, bool], number: int, *rest: Any) -> Results:
        """Learn from the examples, of which this rank runs its own."""
        self.backend.late_steps, self.backend.counts_inputs = counting
        return self.backend.train(self._data(number), *rest)

    def evaluate(
        self, counting: tuple[int | None, bool], number: int, examples: np.ndarray
    ) -> Results:
        """Run this rank's part of the examples."""
        self.backend.late_steps, self.backend.counts_inputs = counting
        unit, rank, ranks = self.backend.at_once, self._exchange.rank, self._exchange.ranks
        units = -(-len(examples) // unit)
        first, end = (unit * (units * r // ranks) for r in (rank, rank + 1))
        return self.backend.evaluate(self._data(number), examples[first:end])


class SharedBackend(Backend):
    """The backend of rank 0, which has the other ranks do their parts."""

    def __init__(self, part: Part, world: World, splits: Splits) -> None:
        backend = part.backend
        self.program = backend.program
        self.batches_per_call = backend.batches_per_call
        self.late_steps, self.counts_inputs = backend.late_steps, backend.counts_inputs
        self._part, self._world = part, world
        self._numbers = {id(data): n for n, data in enumerate(known(splits))}
        self._blocks: list[int] = []  # those that were handed out later
        self._next = len(self._numbers)

    def close(self) -> None:
        """Free the memory, here and on the other ranks."""
        if not self._world.busy:
            self._world.tell("close")
            self._part.copies.close()
        self._part.backend.close()

    def kernel_times(self) -> dict[str, float]:
        """Return those of rank 0."""
        return self._part.backend.kernel_times()

    def get(self, name: str, which: str = "value") -> np.ndarray:
        """Return a tensor, which all ranks hold alike; the gradient is that of ``gradient``."""
        return self._part.backend.get(name, which)

    def set(self, name: str, array: np.ndarray, which: str = "value") -> None:
        """Overwrite a tensor on all ranks."""
        self._world.tell("set", name, np.asarray(array), which)
        self._part.set(name, array, which)

    def train(
        self,
        data: SpikeData,
        examples: np.ndarray,
        batch: int,
        rates: np.ndarray,
        updates: int,
        noise: Noise,
    ) -> Results:
        """Learn ``examples`` in order, in batches that all ranks share."""
        rest = examples, batch, rates, updates, noise
        return together(self._ask("train", data, *rest))

    def evaluate(self, data: SpikeData, examples: np.ndarray) -> Results:
        """Run ``examples``, of which each rank takes a part, without learning."""
        return joined(self._ask("evaluate", data, examples))

    def gradient(self, data: SpikeData, examples: np.ndarray, noise: Noise = NO_NOISE) -> Results:
        """Leave the gradient of the examples' mean loss in the tensors of rank 0."""
        return self._part.backend.gradient(data, examples, noise)

    def trial(self, data: SpikeData, example: int, noise: Noise = NO_NOISE) -> Trial:
        """Run one example, on rank 0."""
        return self._part.backend.trial(data, example, noise)

    def _ask(self, what: str, data: SpikeData, *rest: Any) -> list[Results]:
        """Have all ranks do their parts, and return what came of them, in order."""
        self._world.busy = True
        asked = what, (self.late_steps, self.counts_inputs), self._number_of(data), *rest
        self._world.tell(*asked)
        found = [self._part.call(*asked), *self._world.replies()]
        self._world.busy = False
        return found

    def _number_of(self, data: SpikeData) -> int:
        """Return the number by which all ranks know the data, which they are given if need be."""
        if id(data) not in self._numbers:
            self._hand_out(data)
            self._blocks.append(id(data))
        while len(self._blocks) > MOST_BLOCKS:
            number = self._numbers.pop(self._blocks.pop(0))
            self._world.tell("forget", number)
            self._part.forget(number)
        return self._numbers[id(data)]

    def _hand_out(self, data: SpikeData) -> None:
        number = self._numbers[id(data)] = self._next
        self._next += 1
        self._world.tell("hand_out", number)
        self._part.copies.hand_out(number, data)  # holds it too, so that its id stays


def known(splits: Splits) -> list[SpikeData]:
    """Return the data of splits, each once, in an order that is the same on all ranks."""
    return list({id(split.data): split.data for split in splits.all()}.values())


def together(parts: Sequence[Results]) -> Results:
    """Return the results of examples each of which one rank has run."""
    first = parts[0]
    found: dict[str, Any] = {}
    seen = [part.prediction != UNSEEN for part in parts]
    for name in BY_EXAMPLE:
        found[name] = np.zeros_like(getattr(first, name))
        for part, own in zip(parts, seen, strict=True):
            found[name][own] = getattr(part, name)[own]
    figures = {name: np.zeros_like(values) for name, values in first.figures.items()}
    for name, values in figures.items():
        for part, own in zip(parts, seen, strict=True):
            values[own] = part.figures[name][own]
    return replace(first, **found, **_summed(parts), figures=figures)


def joined(parts: Sequence[Results]) -> Results:
    """Return the results of examples of which each rank has run a part, one after the other."""
    found: dict[str, Any] = {
        n: np.concatenate([getattr(part, n) for part in parts]) for n in BY_EXAMPLE
    }
    figures = {
        name: np.concatenate([part.figures[name] for part in parts if part.figures])
        for name in next((part.figures for part in parts if part.figures), {})
    }
    failed = max(part.failed_batch for part in parts)
    return replace(parts[0], **found, **_summed(parts), figures=figures, failed_batch=failed)


def _summed(parts: Sequence[Results]) -> dict[str, Any]:
    found = {name: [getattr(part, name) for part in parts] for name in SUMMED}
    return {n: None if values[0] is None else np.sum(values, axis=0) for n, values in found.items()}
