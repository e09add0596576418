"""What presets give on test data: measured over seeds, and written into their headers."""

from __future__ import annotations

import re
import resource
import statistics
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snnrun import load_run

COLUMNS = 100
HERE = "here"
_ON = re.compile(r"; on (.+?); commit ")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The test figures of a preset's runs, one for each seed."""

    shares: Sequence[float]  # right answers, or error relative to that of silent outputs
    error: bool  # they are errors
    seconds: float  # of the processor, for a run

    @property
    def result(self) -> str:
        """Return mean and sample standard deviation, as headers have them."""
        unit = 1.0 if self.error else 100.0
        values = [unit * share for share in self.shares]
        digits = 3 if self.error else 2
        text = f"{statistics.mean(values):.{digits}f}"
        if values[1:]:
            text += f" +- {statistics.stdev(values):.{digits}f}"
        return f"error relative to silent outputs {text}" if self.error else f"test {text} %"

    @property
    def each(self) -> str:
        """Return the figure of each seed."""
        scale, unit = (1.0, "") if self.error else (100.0, " %")
        return " ".join(f"{scale * share:.4g}{unit}" for share in self.shares)


def measure(preset: str, seeds: Sequence[int], words: Sequence[str]) -> Measured:
    """Train a preset once for each seed, as a multirun, and return the figures of its tests.

    Raises:
        CalledProcessError: The multirun failed; it has said why.
    """
    with tempfile.TemporaryDirectory(prefix="snnrun-figures-") as folder:
        command = [
            sys.executable,
            "-m",
            "snnrun",
            "train",
            "--multirun",
            f"preset={preset}",
            *words,
        ]
        command += [f"MODEL_SEED={','.join(map(str, seeds))}", f"hydra.sweep.dir={folder}"]
        before = _processor_seconds()
        subprocess.run(command, check=True, stdout=sys.stderr)  # a line for each run
        seconds = (_processor_seconds() - before) / len(seeds)
        runs = [load_run(Path(folder, str(number))) for number in range(len(seeds))]
        error = "error_ratio" in runs[0].epochs
        if error:  # of a pattern: there is nothing but the pattern that it learned
            shares = [float(run.epochs["error_ratio"][-1]) for run in runs]
        else:
            shares = [float(run.test["accuracy"]) for run in runs]
    return Measured(shares=shares, error=error, seconds=seconds)


def described(
    measured: Measured, seeds: Sequence[int], on: str, settings: Sequence[str], commit: str
) -> str:
    """Return what a header says of a measurement.

    Settings of the backend are left out: threads change no figure.
    """
    besides = "".join(f" {word}" for word in settings if not word.startswith("backend."))
    said = f"{measured.result} (MODEL_SEED={','.join(map(str, seeds))}{besides}; last epoch, "
    said += f"n {len(seeds)}, sample sd)" if seeds[1:] else "one run)"
    said += f"; on {on}" if on else ""
    return f"{said}; commit {commit[:10] or 'unknown'}; {measured.seconds:.0f} s of processor time"


def said_on(here: str) -> str:
    """Return on which data an earlier measurement was, as ``described`` wrote it; "" if not."""
    found = _ON.search(here)
    return found[1] if found else ""


def write_here(file: Path, text: str) -> None:
    """Replace the text "here" of a preset's header, or add it before the run time."""
    lines = file.read_text(encoding="utf-8").splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith(f"# {HERE}: ")), None)
    if first is None:
        first = next(n for n, line in enumerate(lines) if line.startswith("# run time: "))
        end = first
    else:
        end = first + 1
        while lines[end].startswith("#   "):
            end += 1
    new = textwrap.wrap(
        f"# {HERE}: {text}",
        COLUMNS,
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    file.write_text("\n".join([*lines[:first], *new, *lines[end:]]) + "\n", encoding="utf-8")


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
