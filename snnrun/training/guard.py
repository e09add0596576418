"""What ends a run whose numbers are no longer of use."""

from __future__ import annotations

import numpy as np

from snnrun.backends.base import Results
from snnrun.compile.integrators import EXPONENTIAL
from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.errors import NumericalError, either
from snnrun.notice import Notice
from snnrun.record.writer import RunRecord
from snnrun.training import advice
from snnrun.training.keeper import Keeper


class Guard:
    """Looks at what comes of mini-batches, and ends a run that has exploded with an error.

    The record is written before, with the reason among its warnings.
    """

    def __init__(self, config: Config, program: Program, record: RunRecord, keeper: Keeper) -> None:
        self._config = config
        self._program = program
        self._record = record
        self._keeper = keeper

    def training(
        self, results: Results, epoch: int, first: int, update: int, rates: np.ndarray
    ) -> None:
        """Raise NumericalError if a batch went wrong, saying what, where and since when.

        Args:
            results: Of mini-batches in training.
            epoch: The epoch that they are of.
            first: Number of the first one in the epoch; ``update`` its number in the run.
            rates: Their learning rates [mini-batches], or [mini-batches, tensors].
        """
        if results.failed_batch < 0:
            return
        batch = first + results.failed_batch
        what = (
            f"the gradient or the values of {results.failed_tensor} are not finite, or beyond 1e6"
            if results.failed_tensor
            else "the loss is not finite"
        )
        rate = self._rate(rates[results.failed_batch], results.failed_tensor)
        self._end(
            f"training has exploded: {what}, since trial {batch} of epoch {epoch} (update "
            f"{update + results.failed_batch}, learning rate {rate:g}).",
            [*self._integrators(), *self._calmer(epoch), "smaller initial weights"],
            epoch,
        )

    def validation(self, results: Results, epoch: int) -> None:
        """Raise NumericalError if the loss on the validation set is not finite."""
        if results.failed_batch < 0:
            return
        self._end(
            f"the loss on the validation set is not finite in epoch {epoch}; the weights are "
            "beyond use.",
            self._calmer(epoch),
            epoch,
        )

    def _end(self, what: str, to_try: list[str], epoch: int) -> None:
        advice = f"Try {either(to_try)}"
        self._record.notices.add(Notice(what="exploded", message=f"{what} {advice}", epoch=epoch))
        self._record.write()
        raise NumericalError(f"{what} {self._keeper.what_is_kept()} {advice}")

    def _integrators(self) -> list[str]:
        """Return the integrator whose steps stay finite, where another one is used."""
        smooth = {c.integrator for c in self._program.populations if c.smooth}
        return [f"network.integrator={EXPONENTIAL}"] if smooth - {EXPONENTIAL} else []

    def _calmer(self, epoch: int) -> list[str]:
        """Return settings to try; from the first epoch on weights may have been lifted too."""
        found = advice.calmer(self._config, lifted=epoch > 0)
        return found or ["`snnrun keys` for what makes learning gentler"]

    def _rate(self, rates: np.ndarray, tensor: str) -> float:
        """Return the learning rate of a tensor; of all it is the largest one."""
        names = [one.name for one in self._program.tensors]
        return float(rates[names.index(tensor)] if rates.ndim and tensor in names else rates.max())
