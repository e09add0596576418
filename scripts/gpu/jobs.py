"""The list of checks: what each does, how long it may take, and what it has to wait for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gpu import found, messages, parity, resume, speed
from gpu.choice import Choice

FOUND = "found"
PARTS = (FOUND, "parity", "messages", "resume", "speed")
DEVICES = ("cuda", "hip", "single_threaded_cpu")
MOST_WORKERS = 12
# s; of a GPU's compiler a program takes about 20 of a core
QUICK, BUILDING, TIMED = 30.0, 150.0, 60.0

Work = Callable[[Choice, Path, Path], dict[str, Any]]  # choice, folder of all, of this job


@dataclass(frozen=True, kw_only=True)
class Job:
    """A check. ``first``: it comes before all others; ``alone``: nothing else runs meanwhile."""

    part: str
    name: str
    work: Work
    choice: Choice
    seconds: float
    first: bool = False
    alone: bool = False

    @property
    def place(self) -> str:
        """The name of its folder."""
        return re.sub(r"\W+", "-", self.name)


def workers() -> int:
    """Return how many jobs that are not timed run side by side."""
    return max(1, min(MOST_WORKERS, os.cpu_count() or 1))


def jobs_of(choice: Choice) -> list[Job]:
    """Return all checks, in the order in which they are shown."""
    return list(_jobs(choice))


def _jobs(choice: Choice) -> Iterator[Job]:
    slow = 10.0 if choice.small else 1.0  # an emulation is no GPU

    def job(part: str, name: str, work: Work, seconds: float, **more: bool) -> Job:
        return Job(part=part, name=name, work=work, choice=choice, seconds=slow * seconds, **more)

    yield job(FOUND, "what there is", found.check, QUICK, first=True)
    yield job("speed", "data in SHD's layout", speed.write_data, 2 * QUICK, first=True)
    for setting in speed.settings_of(choice):  # the builds that take longest come first
        yield job("speed", f"build {setting.name}", partial(speed.build, setting), BUILDING)
    for name in parity.names_of(choice):
        yield job("parity", f"parity: {name}", partial(parity.check, name), BUILDING)
    yield job("messages", "full buffers", messages.full_buffers, BUILDING)
    yield job("resume", "native, genn, native", resume.check, BUILDING)
    yield job("messages", "a network that is too large", messages.too_large, QUICK)
    yield job("messages", "memory is taken", messages.taken, QUICK, alone=True)
    for setting in speed.settings_of(choice):
        yield job("speed", setting.name, partial(speed.measure, setting), TIMED, alone=True)
