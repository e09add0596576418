"""Learning-rate schedules: a factor on all rates for each update, and the keys of these.

One of your own is chosen as schedule.name=mylab.schedules.MINE, with

    MINE = Schedule(name="halved", meaning="...", factor=lambda at, options: 0.5 ** (at.epoch // 9))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from snnrun.keys.key import RESUME, number, table, text, unless, when, whole

WARMUP_START, CYCLE_START, CYCLE_END = 0.01, 1 / 25, 1e-4


@dataclass(frozen=True, kw_only=True)
class Moment:
    """An update of a training, for which a factor is wanted.

    Args:
        update: Its number, over all epochs, from 0.
        epoch: The epoch that it is in, from 0.
        updates_per_epoch: How many an epoch has.
        epochs: Epochs in which the schedule ends.
    """

    update: int
    epoch: int
    updates_per_epoch: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A learning-rate schedule.

    Args:
        name: What ``schedule=NAME`` calls it.
        meaning: One line.
        factor: Given a moment and the values of the options (``options.end``, ...), the factor on
            all learning rates, 0 or more. It must depend on these alone: a resumed run asks again.
            None: 1, whatever the moment.
        source: The publication.
        own_start: It has a beginning of its own, and no warm-up.
    """

    name: str
    meaning: str
    factor: Callable[[Moment, Any], float] | None
    source: str = ""
    own_start: bool = False


def warmup(at: Moment, options: Any) -> float:
    """Return the factor of the warm-up: linear, 1 from its end on."""
    if options.warmup == 0:
        return 1.0
    step, steps = _place(at, options), _warmup_steps(at, options)
    start = WARMUP_START if options.start is None else float(options.start)
    return start + (1 - start) * min(step / steps, 1.0) if steps else 1.0


def _warmup_steps(at: Moment, options: Any) -> int:
    one = at.updates_per_epoch if options.per == "update" else 1
    return round(options.warmup * one)


def _place(at: Moment, options: Any) -> int:
    """Return the number of the update, or of the epoch, as ``schedule.per`` counts."""
    return at.update if options.per == "update" else at.epoch


def _steps(at: Moment, options: Any) -> int:
    return at.epochs * (at.updates_per_epoch if options.per == "update" else 1)


def _cosine(at: Moment, options: Any) -> float:
    """Return 1 until the warm-up ends, then (1 + cos(pi p)) / 2 scaled to end at ``end``."""
    begin = _warmup_steps(at, options)
    length = max(_steps(at, options) - begin, 1)
    part = min(max(_place(at, options) - begin, 0) / length, 1.0)
    end = options.end or 0.0
    return float(end + (1 - end) * (1 + math.cos(math.pi * part)) / 2)


def _one_cycle(at: Moment, options: Any) -> float:
    """Return the factor of two halves of a cosine: up to 1, then down to the end."""
    start = CYCLE_START if options.start is None else options.start
    end = CYCLE_END * start if options.end is None else options.end
    last = _steps(at, options) - 1
    top = options.rise * (last + 1) - 1
    step = min(_place(at, options), last)
    if step <= top:
        return _between(start, 1.0, step / top if top > 0 else 1.0)
    return _between(1.0, end, (step - top) / (last - top))


def _between(first: float, last: float, part: float) -> float:
    return float(last + (first - last) / 2 * (1 + math.cos(math.pi * part)))


CONSTANT = Schedule(name="constant", meaning="the rate stays after the warm-up", factor=None)
COSINE = Schedule(
    name="cosine",
    meaning="the rate falls along half a cosine",
    factor=_cosine,
    source="Loshchilov & Hutter 2017, arXiv 1608.03983, equation 5, without restarts",
)
ONE_CYCLE = Schedule(
    name="one_cycle",
    meaning="the rate grows along half a cosine, and falls along another one",
    factor=_one_cycle,
    source="Smith & Topin 2018, arXiv 1708.07120, with cosines",
    own_start=True,
)
PLATEAU = Schedule(
    name="plateau",
    meaning="the rate is cut when a score has not become better for a while",
    factor=None,  # what happened decides: training/schedule.py
)

_TIMED = when("schedule.name", "cosine", "one_cycle")
_ONE_CYCLE, _PLATEAU = when("schedule.name", "one_cycle"), when("schedule.name", "plateau")
_WARM = unless("schedule.warmup", 0.0)

# fmt: off
KEYS = table(
    "learning-rate schedule",
    text(
        "schedule.name",
        "A factor on all learning rates, besides what ETA_DECAY, ETA_FAC and LR_EASE_IN_FACTOR do "
        "to ETA: constant 1; cosine falls from 1 to schedule.end; one_cycle grows to 1 and falls; "
        "plateau is cut when the score does not become better; or the dotted path of your own.",
        choices=("constant", "cosine", "one_cycle", "plateau"), dotted_path=True,
    ),
    number(
        "schedule.warmup",
        "Warm-up: epochs in which the factor grows linearly from schedule.start to 1; 0: none. "
        "Parts of an epoch are rounded to updates.",
        minimum=0, active_if=(unless("schedule.name", "one_cycle"),),
    ),
    number(
        "schedule.start", "The factor at the first update.",
        minimum=0, maximum=1, nullable=True, null="0.01 of a warm-up, 0.04 of one_cycle",
        active_if=(_WARM, _ONE_CYCLE),
    ),
    number(
        "schedule.end", "The factor at the end of the training.",
        minimum=0, maximum=1, nullable=True,
        null="0 of cosine, schedule.start / 10000 of one_cycle", active_if=(_TIMED,),
    ),
    whole(
        "schedule.epochs",
        "Epochs that the schedule takes; the factor stays at its last value afterwards.",
        minimum=1, nullable=True, null="N_EPOCH", active_if=(_TIMED,),
    ),
    number(
        "schedule.rise", "Part of the training in which the factor of one_cycle grows.",
        minimum=0, below=1, active_if=(_ONE_CYCLE,),
    ),
    text(
        "schedule.per",
        "The factor changes with every update, or at the beginning of every epoch.",
        choices=("update", "epoch"), active_if=(_TIMED, _WARM),
    ),
    text(
        "schedule.metric", "What plateau looks at after each epoch.",
        choices=("score", "loss"), active_if=(_PLATEAU,),
    ),
    text(
        "schedule.which",
        "The examples whose score or loss that is; validation is training where N_VALIDATE is 0.",
        choices=("validation", "training"), active_if=(_PLATEAU,),
    ),
    number(
        "schedule.factor", "What a cut multiplies the factor by.", minimum=0, below=1,
        active_if=(_PLATEAU,),
    ),
    whole(
        "schedule.patience",
        "Epochs in a row without a better score (or loss) that are let pass; one more is cut.",
        minimum=0, active_if=(_PLATEAU,),
    ),
    number(
        "schedule.threshold", "A score (or loss) is better if it is so by more than this.",
        minimum=0, active_if=(_PLATEAU,),
    ),
    whole(
        "schedule.cooldown", "Epochs after a cut that do not count.", minimum=0,
        active_if=(_PLATEAU,),
    ),
    number(
        "schedule.minimum", "Cuts take the factor no lower than this.", minimum=0, maximum=1,
        active_if=(_PLATEAU,),
    ),
    changeable=(RESUME,),
)
# fmt: on
