"""How a program is turned into a GeNN model, beside what the program itself says."""

from __future__ import annotations

from dataclasses import dataclass

CPU = "single_threaded_cpu"  # GeNN's backend without a GPU
MOST_AT_ONCE = 1023  # examples of a batch that GeNN's kernels for GPUs can count


def at_once(device: str, batch: int) -> int:
    """Return how many examples of a mini-batch of ``batch`` run at once: as even parts of it."""
    if device == CPU:
        return 1
    parts = -(-batch // MOST_AT_ONCE)
    return -(-batch // parts)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Choices of a GeNN model.

    Args:
        batch: Examples that run at once; 1 on GeNN's CPU backend, where batches are accumulated.
        precision: float32 or float64.
        spikes: Spikes of a neuron in a trial that its buffer holds (N_MAX_SPIKE).
        pipeline: The backward pass of one batch runs together with the forward pass of the next.
        traced: Whether every state of every step can be read, for recordings.
        delay_width: The most steps to each side over which delayed spikes are spread.
        late_steps: As of Backend, for which a table is kept then.
    """

    batch: int = 1
    precision: str = "float32"
    spikes: int = 1500
    pipeline: bool = False
    traced: bool = False
    delay_width: float = 0.0
    late_steps: int | None = None

    @property
    def scalar(self) -> str:
        """GeNN's name of the precision."""
        return {"float32": "float", "float64": "double"}[self.precision]

    @property
    def halves(self) -> int:
        """How many batches the buffers hold."""
        return 2 if self.pipeline else 1
