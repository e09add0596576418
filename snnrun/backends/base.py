"""What a backend gives to the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import ConfigError
from snnrun.models.losses import COURSE_LOSSES
from snnrun.notice import Notice


@dataclass(frozen=True, kw_only=True)
class Results:
    """What came of some examples, in the order in which they were given (E of them, L layers)."""

    loss: np.ndarray  # float64 [E]
    prediction: np.ndarray  # int32 [E], -1: none
    layer_spikes: np.ndarray  # int32 [E, L]
    neuron_spikes: np.ndarray  # int64 [neurons of all layers], summed over the examples
    failed_batch: int = -1  # first batch with values that are not finite or too large
    failed_tensor: str = ""  # where; empty: the loss
    dropped_spikes: np.ndarray | None = None  # int64 [L], learned without gradient; None: never
    figures: Mapping[str, np.ndarray] = field(default_factory=dict)  # float64 [E], of patterns
    # int64 [2, late_steps + 1, channels and then neurons of all layers]; see Backend.late_steps
    activations: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One example in full: spikes of each layer, and every state at the end of every step."""

    loss: float
    prediction: int
    steps: tuple[np.ndarray, ...]  # per layer: int32 [spikes]
    neurons: tuple[np.ndarray, ...]  # per layer: int32 [spikes], by step, then by neuron
    states: tuple[dict[str, np.ndarray], ...]  # per layer: state -> [steps, neurons], if traced
    input_steps: np.ndarray  # int32 [events that were not dropped]
    input_channels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What acts on examples in training, and never in evaluation.

    Args:
        dropout: Probability with which an input spike is dropped.
        key: Chooses the random numbers.
        in_network: Noise and spike dropout of the hidden neurons act too.
        delay_width: Over how many steps to each side delayed spikes are spread; see
            network/delays.py.
    """

    dropout: float = 0.0
    key: int = 0
    in_network: bool = False
    delay_width: float = 0.0


class Exchange(ABC):
    """How processes that share each mini-batch sum what they have found, part by part.

    Each runs some of the examples. A sum begins with those of rank 0; in the order of the ranks
    each adds its own to it, so that it is the sum that one process makes, to the last bit. All
    ranks ask for the same parts in the same order.

    Args:
        rank: Of this process, from 0.
        ranks: How many there are.
    """

    rank: int
    ranks: int

    @abstractmethod
    def counts(self, numbers: np.ndarray) -> None:
        """Replace integers, int64, by their sums over all ranks."""

    @abstractmethod
    def before(self, numbers: np.ndarray) -> None:
        """Fetch the sum of the ranks before this one, of the next part; not for rank 0."""

    @abstractmethod
    def after(self, numbers: np.ndarray, total: np.ndarray) -> None:
        """Pass the sum on, with what this rank has added, and have ``total`` filled later.

        The last rank's ``total`` holds the sum already. Both must stay where they are until
        ``finish``.
        """

    @abstractmethod
    def finish(self) -> None:
        """Wait for the totals of all parts since the last time."""


NO_NOISE = Noise()
UNSEEN = -(2**31)  # as a prediction: another process has run the example
LARGEST_VALUE = 1e6  # a weight beyond this means that learning has exploded


def require_fitting(data: SpikeData, program: Program) -> None:
    """Raise ConfigError where a program is for data of other sizes, or of another kind."""
    require_task(data, program)
    size = program.network.input.size
    if (data.n_steps, data.n_channels) != (program.steps, size):
        raise ConfigError(
            f"the data has {data.n_steps} steps and {data.n_channels} channels, the program "
            f"{program.steps} and {size}"
        )


def require_task(data: SpikeData, program: Program) -> None:
    """Raise ConfigError where the loss needs target courses and the data have none, or classes."""
    courses, loss = program.loss.readout.courses, program.loss.name
    if courses and data.courses is None:
        raise ConfigError(
            f"loss {loss} needs target courses, which this data set has not; use "
            "dataset=pattern_generation, one of your own whose read() returns courses, or another "
            "LOSS_TYPE"
        )
    if data.courses is not None and not courses:
        raise ConfigError(
            f"loss {loss}: this data set has target courses and no classes; use LOSS_TYPE="
            f"{next(iter(COURSE_LOSSES))}"
        )


def by_tensor(rates: np.ndarray, program: Program) -> np.ndarray:
    """Return the rates that ``Backend.train`` is given as [batches, tensors]."""
    given = rates[:, None] if rates.ndim == 1 else rates
    return np.broadcast_to(given, (len(rates), len(program.tensors)))


def count_activations(
    activations: np.ndarray, steps: np.ndarray, neurons: np.ndarray, n_steps: int, first: int = 0
) -> None:
    """Enter spikes into ``activations``, as of Results.

    Args:
        steps, neurons: Of each spike, integers; those of one neuron in one step follow one another.
            Steps of several trials are numbered one trial after the other.
        n_steps: Steps of a trial.
        first: Where the numbers of the neurons begin.
    """
    if not len(steps):
        return
    new = np.flatnonzero((np.diff(steps) != 0) | (np.diff(neurons) != 0)) + 1
    starts = np.concatenate([[0], new])
    several = np.diff(starts, append=len(steps)) > 1
    rows = np.minimum(n_steps - 1 - steps[starts] % n_steps, activations.shape[1] - 1)
    np.add.at(activations, (several.astype(int), rows, first + neurons[starts]), 1)


class Backend(ABC):
    """A compiled program that holds weights and runs examples.

    ``batches_per_call``: mini-batches to be learned in one call of ``train``, of which only the
    last call of an epoch may have fewer; None: any number gives the same results.
    ``late_steps``: unless it is None, ``train`` and ``evaluate`` count the steps of all trials in
    which each channel of the input (of what dropout leaves) and each neuron was active, by one
    spike [0] and by several [1]: so many steps before the last one [r], from ``late_steps`` on
    together. What is active too late arrives behind the end of the trial. Without
    ``counts_inputs`` they leave the channels out.
    ``at_once``: examples that ``evaluate`` runs together; where it is cut in multiples of them, no
    bit changes.
    ``exchange``: set it to have ``train`` run only this process's examples of each mini-batch, and
    learn from all. Predictions of the others are then UNSEEN, and their figures 0.
    """

    program: Program
    batches_per_call: int | None = None
    late_steps: int | None = None
    counts_inputs: bool = True
    at_once: int = 1
    exchange: Exchange | None = None

    def no_activations(self) -> np.ndarray | None:
        """Return the counts before any trial, zeros; None where none are asked for."""
        if self.late_steps is None:
            return None
        neurons = sum(c.population.size for c in self.program.populations)
        shape = (2, self.late_steps + 1, self.program.network.input.size + neurons)
        return np.zeros(shape, np.int64)

    def parts(self, batch: int) -> int:
        """Return into how many parts processes can share a mini-batch of so many examples."""
        return batch

    def close(self) -> None:  # noqa: B027  there may be nothing to free
        """Free the memory; nothing else may be called afterwards."""

    def kernel_times(self) -> dict[str, float]:
        """Return the seconds spent so far in each kind of kernel, where the backend knows."""
        return {}

    @abstractmethod
    def get(self, name: str, which: str = "value") -> np.ndarray:
        """Return a tensor: ``value``, ``gradient``, or a state of its optimiser, as ``first``."""

    @abstractmethod
    def set(self, name: str, array: np.ndarray, which: str = "value") -> None:
        """Overwrite a tensor."""

    def carried(self) -> dict[str, np.ndarray]:
        """Return what a trial leaves to the next one beside the tensors; nothing, mostly."""
        return {}

    def carry(self, kept: Mapping[str, np.ndarray]) -> None:  # noqa: B027  mostly nothing
        """Go on from what ``carried`` returned."""

    @abstractmethod
    def train(
        self,
        data: SpikeData,
        examples: np.ndarray,
        batch: int,
        rates: np.ndarray,
        updates: int,
        noise: Noise,
    ) -> Results:
        """Learn ``examples`` in order, in batches.

        ``rates`` holds one learning rate per batch, or one for each of the program's tensors,
        [batches, tensors]; ``updates`` were made before.
        """

    @abstractmethod
    def evaluate(self, data: SpikeData, examples: np.ndarray) -> Results:
        """Run ``examples`` without learning and without noise."""

    @abstractmethod
    def gradient(self, data: SpikeData, examples: np.ndarray, noise: Noise = NO_NOISE) -> Results:
        """Leave the gradient of the examples' mean loss in the tensors."""

    @abstractmethod
    def trial(self, data: SpikeData, example: int, noise: Noise = NO_NOISE) -> Trial:
        """Run one example and return everything that happened."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A loaded program, what to say about it, and what was made (what -> where or how).

    ``notices`` are what its user should know before it is used: of the machine, the threads.
    """

    backend: Backend
    description: str
    files: Mapping[str, str]
    notices: Sequence[Notice] = ()
