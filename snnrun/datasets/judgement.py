"""Whether data fit their trial: no events, another unit, time stamps that begin elsewhere.

A run on such data would train on next to nothing, and say nothing of it. What cannot be meant is
refused with the setting that fits; what may be meant is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np

from snnrun.datasets.coverage import Coverage
from snnrun.datasets.declaration import DataSet, Part
from snnrun.datasets.spikes import MAX_INDEX, SpikeData, Split, Splits
from snnrun.errors import DataError
from snnrun.notice import Notice

# Shares of the events, or of the examples. A trial that is meant to be shorter than its recordings
# still shows their beginning, and a wrong unit (a factor of 1,000) leaves less than a hundredth.
REFUSED = 0.95
# Recordings have a tail that trials cut on purpose; a tenth of the events is more than that.
NOTED = 0.1
# Times fit a trial if the typical recording takes this share of it at least.
FILLED = 0.05
LONGER = 3.0  # and is this many times as long at most
MOST_CLASSES = 8  # that are named
FACTORS = {1e-3: "1,000", 1e-6: "1,000,000", 1e-9: "1,000,000,000"}


def judged(config: Any, splits: Splits, dataset: DataSet) -> tuple[Notice, ...]:
    """Return what is odd about the data of a run; DataError where it cannot be meant."""
    files: dict[int, Split] = {}
    for split in splits.all():
        files.setdefault(id(split.data), split)
    notices: list[Notice] = []
    for split in files.values():
        notices += Judge(config=config, dataset=dataset, part=split.name, data=split.data).notices()
    return (*notices, *_of_classes(splits))


def _of_classes(splits: Splits) -> list[Notice]:
    """Return what is odd about labels: classes that cannot be learned, or are one alone."""
    data = splits.train.data
    if data.courses is not None or data.targets is not None or not len(splits.train.examples):
        return []
    known = np.unique(data.labels)
    found = []
    if len(known) == 1 < len(data.labels):
        text = (
            f"train data: all examples are of class {known[0]}, so there is nothing to tell apart"
        )
        found.append(Notice(what="one class", where="train", message=text, share=1.0))
    for split in splits.all():
        labels = split.data.labels[split.examples]
        strange = ~np.isin(labels, known)
        if strange.any():
            names = ", ".join(map(str, np.unique(labels[strange])[:MOST_CLASSES]))
            text = (
                f"{split.name} data: {_of(strange)} examples are of classes that the training data "
                f"do not have, such as {names}: no weights can have learned them"
            )
            share = float(strange.mean())
            found.append(
                Notice(what="unknown classes", where=split.name, message=text, share=share)
            )
    return found


def judged_targets(config: Any, dataset: DataSet, part: Part, lost: int) -> tuple[Notice, ...]:
    """Return what is odd about targets, of which ``lost`` spikes come after the trial.

    Raises DataError where it cannot be meant.
    """
    if part.targets is None:
        return ()
    share = lost / len(part.targets[0])
    text = (
        f"{_percent(share)} of the target's spikes lie beyond the trial of {config.TRIAL_MS:g} ms "
        f"and are left out. {dataset.advice}"
    )
    if share > REFUSED:
        raise DataError(f"dataset {dataset.name}: {part.about}: {text}")
    return (Notice(what="dropped events", where="target", message=text, share=share),) * (
        share >= NOTED
    )


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Looks at the data of one file: of the split ``part`` and those that share it."""

    config: Any
    dataset: DataSet
    part: str
    data: SpikeData

    def notices(self) -> list[Notice]:
        """Return what is odd; DataError where it cannot be meant."""
        data, coverage = self.data, self.data.coverage
        if not len(data):
            return []
        silent = np.diff(data.offsets) == 0
        empty = silent if coverage is None else coverage.empty
        if empty.mean() > REFUSED:
            raise DataError(f"{self._where}: {_of(empty)} examples hold no event at all")
        if coverage is None:
            return self._silent(silent)
        moved = silent & ~empty
        factor, start = self._fitting(coverage)
        fits = factor != 1.0 or start is not None or bool(self.dataset.advice)
        lost = max(coverage.outside, float(moved.sum() / (~empty).sum()))
        if lost == 1.0 or (lost > REFUSED and fits):
            raise DataError(f"{self._where}: {self._outside(coverage)}. {self._advice(coverage)}")
        if coverage.outside >= NOTED or coverage.before:
            text = f"{self.part} data: {self._outside(coverage)}. {self._advice(coverage)}"
            return [self._notice("dropped events", text, coverage.outside)]
        return [*self._early(coverage), *self._silent(silent)]

    @property
    def _where(self) -> str:
        coverage = self.data.coverage
        return f"dataset {self.dataset.name}: " + (
            coverage.source if coverage else f"{self.part} data"
        )

    def _notice(self, what: str, text: str, share: float) -> Notice:
        return Notice(what=what, where=self.part, message=text, share=share)

    def _silent(self, silent: np.ndarray) -> list[Notice]:
        if silent.mean() < NOTED:
            return []
        text = f"{self.part} data: {_of(silent)} examples have no event in the trial"
        return [self._notice("silent examples", text, float(silent.mean()))]

    def _outside(self, coverage: Coverage) -> str:
        """Return how many events lie outside, and where they lie."""
        first, last = np.nanmin(coverage.first), np.nanmax(coverage.last)
        sides = {"before its start": coverage.before, "after its end": coverage.after}
        counts = " and ".join(f"{count:,} {side}" for side, count in sides.items() if count)
        return (
            f"{_percent(coverage.outside)} of the events lie outside the trial, {counts}, and are "
            f"dropped: they run from {self._ms(first)} to {self._ms(last)} ms, a trial from 0 to "
            f"{self.config.TRIAL_MS:g} ms"
        )

    def _ms(self, steps: float) -> str:
        value = float(steps) * self.config.DT_MS
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

    def _fitting(self, coverage: Coverage) -> tuple[float, float | str | None]:
        """Return the factor and the start (ms) with which the data fit; 1 and None as they are."""
        filled = ~coverage.empty
        if self.dataset.made_for_trial or not filled.any():
            return 1.0, None
        first, last = coverage.first[filled], coverage.last[filled]
        span = float(np.median(last - first))
        factor = _factor(span, coverage.steps)
        if first.min() < 0 and np.median(last) <= coverage.steps:
            return factor, floor(float(first.min()) * factor * self.config.DT_MS)
        if np.median(first) <= max(span, 0.5 * coverage.steps):
            return factor, None
        if factor == 1.0 and span > coverage.steps:
            return 1.0, None
        if np.ptp(first) <= max(span, 1.0):  # the same for all
            return factor, floor(float(first.min()) * factor * self.config.DT_MS)
        return factor, "first"

    def _advice(self, coverage: Coverage) -> str:
        """Return which setting fits."""
        if self.dataset.advice:
            return self.dataset.advice
        factor, start = self._fitting(coverage)
        settings = []
        if factor != 1.0:
            settings.append(f"RESCALE_T={self.config.RESCALE_T * factor:g}")
        if start is not None:
            settings.append(f"dataset.start={start}")
        if not settings:
            return self._longer(coverage)
        reasons = [f"times are {FACTORS[factor]} times too large"] if factor != 1.0 else []
        if start is not None:
            reasons.append("they do not begin at 0")
        return f"It looks as if {' and '.join(reasons)}; they fit with {' '.join(settings)}"

    def _longer(self, coverage: Coverage) -> str:
        """Return the advice for recordings that are longer than the trial."""
        steps = ceil(float(np.nanmax(coverage.last))) + 1
        if steps <= MAX_INDEX:
            return f"All would be shown with TRIAL_MS={steps * self.config.DT_MS:g}"
        return "A longer trial (TRIAL_MS) or a larger step (DT_MS) shows more of them"

    def _early(self, coverage: Coverage) -> list[Notice]:
        """Notice times that lie in the first hundredth of the trial; refuse if most fell together.

        That is what a unit does that is 1,000 times too large, as s where ms are expected.
        """
        end = float(np.nanmax(coverage.last))  # the last one is in the step that begins here
        last = end + 1
        share = self.data.merged / coverage.events
        shortest, longest = FILLED * coverage.steps, LONGER * coverage.steps
        long_enough = 1000 * last >= shortest and 1000 * end <= longest
        if self.dataset.made_for_trial or last > 0.01 * coverage.steps or not long_enough:
            return []
        text = (
            f"all events lie in the first {self._ms(last)} ms of the trial of "
            f"{self.config.TRIAL_MS:g} ms. If times are 1,000 times too small, as seconds where "
            f"milliseconds are expected, they fit with RESCALE_T={self.config.RESCALE_T * 1e3:g}"
        )
        if share > 0.5:
            raise DataError(
                f"{self._where}: {_percent(share)} of the events fell together with others of "
                f"their channel, as {text}"
            )
        return [self._notice("time unit", f"{self.part} data: {text}", share)]


def _factor(span: float, steps: int) -> float:
    """Return the factor with which recordings of ``span`` steps fit a trial; 1 where none does."""
    if span <= steps:
        return 1.0
    fitting = (f for f in FACTORS if FILLED * steps <= span * f <= LONGER * steps)
    return next(fitting, 1.0)


def _of(which: np.ndarray) -> str:
    count, all_of_them = int(which.sum()), len(which)
    return f"all {count:,}" if count == all_of_them else f"{count:,} of {all_of_them:,}"


def _percent(share: float) -> str:
    shown = f"{100 * share:.3g} %"
    return "more than 99.9 %" if share < 1 and shown == "100 %" else shown


def lines_of(notices: Sequence[Notice]) -> list[str]:
    """Return the notices as text, one line each."""
    return [f"{notice.what}: {notice.message}" for notice in notices]
