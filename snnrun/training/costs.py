"""What the network of a run costs, from the activations that its backend counts."""

from __future__ import annotations

import numpy as np

from snnrun.backends.base import Backend, count_activations
from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.costs.energy import Energy
from snnrun.costs.measures import STATIC, Costs
from snnrun.datasets.feed import Feed
from snnrun.datasets.spikes import SpikeData
from snnrun.training.schedule import delay_width

AT_ONCE = 512  # examples whose events are counted together


class CostsOfEpochs:
    """The costs of a split in each epoch, whose activations the backend counts while it is run.

    Where examples are shown as they are, in every epoch the same ones, those of the input are
    counted once.

    Args:
        split: Name of the split; ``feed`` has its examples.
    """

    def __init__(self, config: Config, backend: Backend, feed: Feed, split: str) -> None:
        self._config, self._backend, self._feed, self._split = config, backend, feed, split
        self._costs = costs_of(config, backend.program)
        self._late_steps = backend.late_steps
        dropped = split == "train" and config.PDROP_INPUT > 0
        self._data = None if dropped else feed.data
        self._known: tuple[np.ndarray, np.ndarray] | None = None  # examples, activations

    def begin(self, split: str) -> None:
        """Let the backend count what belongs to the costs, of a split that is about to run."""
        self._backend.late_steps = self._late_steps if split == self._split else None
        self._backend.counts_inputs = self._data is None

    def of_epoch(self, activations: np.ndarray | None, epoch: int) -> dict[str, float]:
        """Return the figures of an epoch, with the weights that the backend holds."""
        if activations is None:
            return {}
        if self._data is not None:
            channels = self._data.n_channels
            activations = activations.copy()
            activations[:, :, :channels] = self._of_input(self._data, epoch)
        width = delay_width(self._config, epoch) if self._split == "train" else 0.0
        figures = measured(self._costs, self._backend, activations, self._feed.examples, width)
        return {n if n in STATIC else f"{self._split}_{n}": value for n, value in figures.items()}

    def _of_input(self, data: SpikeData, epoch: int) -> np.ndarray:
        examples = np.sort(self._feed.numbers(epoch))
        if self._known is None or not np.array_equal(self._known[0], examples):
            shape = (2, (self._late_steps or 0) + 1, data.n_channels)
            self._known = examples, np.zeros(shape, np.int64)
            for first in range(0, len(examples), AT_ONCE):
                count_events(self._known[1], data, examples[first : first + AT_ONCE])
        return self._known[1]


def count_events(activations: np.ndarray, data: SpikeData, examples: np.ndarray) -> None:
    """Enter the events of examples into ``activations``, as of Results."""
    data.read_ahead(examples, by_channel=False)
    sizes = np.diff(data.offsets)[examples]
    moved = data.offsets[examples] - np.cumsum(sizes) + sizes
    events = np.repeat(moved, sizes) + np.arange(sizes.sum())
    pointers = data.step_pointers[examples].astype(np.int64)
    # steps of the examples one after the other
    steps = np.repeat(np.arange(len(examples) * data.n_steps), np.diff(pointers, axis=1).ravel())
    channels = data.channel_by_step[events].astype(np.int64)
    count_activations(activations, steps, channels, data.n_steps)


def costs_of(config: Config, program: Program) -> Costs:
    """Return what a program costs by the energies of ``config``."""
    energy = Energy(mac=config.ENERGY_MAC, ac=config.ENERGY_AC, memory=config.ENERGY_MEMORY)
    return Costs(program=program, energy=energy)


def measured(
    costs: Costs,
    backend: Backend,
    activations: np.ndarray | None,
    examples: int,
    width: float = 0.0,
) -> dict[str, float]:
    """Return the figures of so many examples, with the weights that the backend holds.

    Nothing where ``activations`` are not known. ``width``: steps to each side over which delayed
    spikes were spread.
    """
    if activations is None:
        return {}
    values = {tensor.name: backend.get(tensor.name) for tensor in backend.program.tensors}
    return costs.measure(values, activations, examples, width)
