"""A process's part of mini-batches that several share, and the sums over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from snnrun.backends.base import Exchange
from snnrun.datasets.spikes import SpikeData


def part_of(size: int, exchange: Exchange | None, parts: int | None = None) -> tuple[int, int]:
    """Return the first of this process's examples of a mini-batch, and the one behind its last.

    ``parts``: into how many the examples are divided before processes share them; one each if None.
    """
    if exchange is None:
        return 0, size
    parts, rank, ranks = parts or size, exchange.rank, exchange.ranks
    if not parts:
        return 0, 0
    return size * (parts * rank // ranks) // parts, size * (parts * (rank + 1) // ranks) // parts


def read_ahead(
    data: SpikeData,
    examples: np.ndarray,
    batch: int,
    exchange: Exchange | None,
    parts: Callable[[int], int],
) -> None:
    """Have the system read this process's examples of mini-batches, where they are on a disk.

    ``parts``: of the backend, into how many parts processes share a mini-batch.
    """
    if data.on_disk:
        batches = [examples[first : first + batch] for first in range(0, len(examples), batch)]
        own = [these[slice(*part_of(len(these), exchange, parts(len(these))))] for these in batches]
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
