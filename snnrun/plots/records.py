"""What there is of a run to draw: its records and its last checkpoint, and which are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from snnrun.backends.base import Backend
from snnrun.config import Config, validate
from snnrun.datasets.spikes import Splits
from snnrun.errors import RecordError
from snnrun.network.build import build_network
from snnrun.network.network import Network
from snnrun.plots.groups import title_of
from snnrun.plots.learned import Learned, learned
from snnrun.record.columns import PHASES
from snnrun.record.reader import Run
from snnrun.training.checkpoint import load
from snnrun.training.state import saved_ends

Cursor = tuple[int, int]  # epoch and trial, a mini-batch, both from 0
Tensors = Mapping[str, np.ndarray]
# Gives the built program of a configuration, for these data
Opener = Callable[[Config, Splits], AbstractContextManager[Backend]]
SPLITS = {"train": "training"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which of what was recorded is to be shown; None: the last, or the first of it.

    Args:
        epoch: From 0; a negative one counts from the end of those that were recorded.
        trial: The mini-batch, from 0.
        example: Its place in the mini-batch, from 0.
    """

    epoch: int | None = None
    trial: int | None = None
    example: int | None = None

    @property
    def given(self) -> dict[str, int]:
        """What is not None, by the option that gives it."""
        found = {f"--{name}": getattr(self, name) for name in ("epoch", "trial", "example")}
        return {option: value for option, value in found.items() if value is not None}


class Records:
    """A run to draw; what is read of it is read when it is needed.

    Args:
        run: The run.
        opener: Runs examples, where that is possible.
    """

    def __init__(self, run: Run, opener: Opener | None = None) -> None:
        self.run = run
        self.opener = opener

    @property
    def title(self) -> str:
        """The name of the run, its data set and its folder."""
        config = self.run.config
        return title_of(str(config["NAME"]), config["dataset"]["name"], self.run.paths)

    @cached_property
    def config(self) -> Config:
        return validate(self.run.config)

    @cached_property
    def checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint; None where there is none."""
        return load(self.run.paths.last) if self.run.paths.last.exists() else None

    @cached_property
    def network(self) -> Network | None:
        """The network, where there is a checkpoint that tells its ends."""
        saved = self.checkpoint
        return None if saved is None else build_network(self.config, *saved_ends(saved))

    @property
    def batches(self) -> int:
        """Training trials in an epoch, as far as is known."""
        trials = self.run.trials
        if not trials:  # no mini-batch has ended
            return 1
        return int(trials["trial"][trials["phase"] == PHASES["train"]].max(initial=0)) + 1

    def phase(self, cursor: Cursor) -> str:
        """Return "training", "validation" or "" where the trial has not ended."""
        trials = self.run.trials
        here = (trials["epoch"] == cursor[0]) & (trials["trial"] == cursor[1])
        names = {number: SPLITS.get(name, name) for name, number in PHASES.items()}
        return names[int(trials["phase"][here][0])] if here.any() else ""

    def cursor(self, kind: str, asked: Asked) -> Cursor:
        """Return the recorded trial of a kind that is asked for.

        Raises:
            RecordError: There is none.
        """
        return chosen(self.run.recorded()[kind], asked, kind)

    def tensors(self, asked: Asked) -> tuple[Tensors, str]:
        """Return what is learned, by the name of its tensor, and when that was, in words.

        That is the last checkpoint, where nothing else is asked for.

        Raises:
            RecordError: There is none.
        """
        if self.checkpoint is None:
            raise RecordError("there is no checkpoint (CHECKPOINT=true keeps one)")
        if asked.epoch is None and asked.trial is None:
            saved = self.checkpoint
            tensors = {name: kept["value"] for name, kept in saved["tensors"].items()}
            return tensors, after(saved["epoch"], saved["trial"])
        cursor = self.cursor("weights", asked)
        return self.recorded_tensors(cursor), f"at epoch {cursor[0]}, trial {cursor[1]}"

    def recorded_tensors(self, cursor: Cursor) -> Tensors:
        """Return what was recorded of what is learned, by the name of its tensor."""
        found = dict(self.run.weights(*cursor))
        found |= {f"{name}_delays": ms for name, ms in self.run.delays(*cursor).items()}
        parameters = self.run.parameters(*cursor)
        for population in self.network.populations if self.network else ():
            names = [f"{population.name}/{name}" for name in population.per_neuron]
            if any(name in parameters for name in names):
                unknown = np.full(population.size, np.nan)
                rows = [np.broadcast_to(parameters.get(n, unknown), unknown.shape) for n in names]
                found[f"{population.name}_parameters"] = np.array(rows)
        return found

    def learned(self, tensors: Tensors, earlier: Mapping[str, Any] | None = None) -> Learned:
        """Return what the network has learned with these tensors."""
        assert self.network is not None
        return learned(self.network, tensors, earlier)


def after(epochs: int, batches: int = 0) -> str:
    """Return in words when so many epochs had ended, and trials of the next one; from 0."""
    if batches:
        return f"in epoch {epochs}, after {batches} trial{'s' if batches > 1 else ''}"
    return f"after epoch {epochs - 1}" if epochs else "at the start"


def chosen(recorded: Sequence[Cursor], asked: Asked, kind: str) -> Cursor:
    """Return which of some recorded trials is asked for: of the last epoch, its first one.

    Raises:
        RecordError: There is none.
    """
    epochs = sorted({epoch for epoch, _ in recorded})
    epoch = None if asked.epoch is None else counted(epochs, asked.epoch)
    fits = [(e, t) for e, t in recorded if epoch in (None, e) and asked.trial in (None, t)]
    if not fits:
        words = " ".join(f"{option} {value}" for option, value in asked.given.items())
        raise RecordError(f"{words}: no {kind} were recorded then; {listed_cursors(recorded)}")
    last = max(e for e, _ in fits)
    return min(cursor for cursor in fits if cursor[0] == last)


def counted(epochs: Sequence[int], epoch: int) -> int:
    """Return an epoch, which counts from the end of some others where it is negative."""
    return epochs[epoch] if -len(epochs) <= epoch < 0 else epoch


def listed_cursors(recorded: Sequence[Cursor], most: int = 10) -> str:
    """Return a list of recorded trials for a message."""
    shown = ", ".join(f"({e}, {t})" for e, t in recorded[:most])
    more = f", ... ({len(recorded)} in all)" if len(recorded) > most else ""
    return f"recorded (epoch, trial): {shown or 'none'}{more}"
