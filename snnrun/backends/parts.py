"""A process's part of mini-batches that several share, and the sums over all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snnrun.backends.base import Exchange
from snnrun.datasets.spikes import SpikeData


def part_of(size: int, exchange: Exchange | None) -> tuple[int, int]:
    """Return the first of this process's examples of a mini-batch, and the one behind its last."""
    if exchange is None:
        return 0, size
    return size * exchange.rank // exchange.ranks, size * (exchange.rank + 1) // exchange.ranks


def read_ahead(
    data: SpikeData, examples: np.ndarray, batch: int, exchange: Exchange | None
) -> None:
    """Have the system read this process's examples of mini-batches, where they are on a disk."""
    if data.on_disk:
        batches = [examples[first : first + batch] for first in range(0, len(examples), batch)]
        own = [these[slice(*part_of(len(these), exchange))] for these in batches]
        data.read_ahead(np.concatenate(own))


def sum_over_ranks(exchange: Exchange, gradients: Sequence[np.ndarray], finite: bool) -> bool:
    """Replace gradients by their sums over all ranks; return whether all ranks are ``finite``."""
    own = np.concatenate([*(gradient.ravel() for gradient in gradients), [not finite]])
    total = np.empty_like(own)
    if exchange.rank > 0:
        exchange.before(total)
        own += total
    if exchange.rank == exchange.ranks - 1:
        total[:] = own
    exchange.after(own, total)
    exchange.finish()
    at = 0
    for gradient in gradients:
        gradient[:] = total[at : at + gradient.size].reshape(gradient.shape)
        at += gradient.size
    return not total[-1]
