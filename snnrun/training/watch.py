"""What a person would notice in the figures of a run's epochs, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.datasets.spikes import Splits
from snnrun.notice import Notice

Columns = Mapping[str, np.ndarray]  # as in snnrun.record.columns.EPOCHS, one entry per epoch


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What must be known of a run to judge the figures of its epochs.

    Args:
        sizes: Layer -> neurons, of those that spike.
        examples: Training examples in an epoch.
        buffer: Spikes of a neuron for which there is room (N_MAX_SPIKE).
    """

    sizes: Mapping[str, int]
    examples: int
    buffer: int


def watched(config: Config, splits: Splits, program: Program) -> Watched:
    """Return what must be known of this run."""
    spiking = [c.population for c in program.populations if c.spiking]
    return Watched(
        sizes={population.name: population.size for population in spiking},
        examples=len(splits.train),
        buffer=config.N_MAX_SPIKE,
    )


def noticed(epochs: Columns, run: Watched) -> list[Notice]:
    """Return what there is to say of the last epoch, given all of them up to it."""
    return [*_dropped(epochs, run)]


def _dropped(epochs: Columns, run: Watched) -> list[Notice]:
    """Say how many spikes of a layer had no gradient, as buffers were full."""
    found = []
    for layer, size in run.sizes.items():
        column = epochs.get(f"dropped_spikes/{layer}")
        if column is None or not column[-1] > 0:
            continue
        dropped = int(column[-1])
        spikes = round(float(epochs[f"spikes_per_neuron/{layer}"][-1]) * size * run.examples)
        found.append(
            Notice(
                what="spikes without gradient",
                where=layer,
                message=f"{dropped:,} of {spikes:,} spikes of {layer} exceeded "
                f"N_MAX_SPIKE={run.buffer} and had no gradient. Give more room: "
                f"N_MAX_SPIKE={2 * run.buffer}",
                epoch=int(epochs["epoch"][-1]),
                share=dropped / max(spikes, 1),
            )
        )
    return found
