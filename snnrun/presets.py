"""What the files of conf/preset/ say of themselves: source, published result, run time.

A preset opens with comments: the line of @package, the command that runs it, and labelled texts,

    # source: where its values are from
    # published: test 97.58 +- 0.12 % (10 seeds, last epoch)   or: none, and why
    # here: what it gave here, if somebody has tried
    # run time: what to expect
    # needs: a file that no command fetches, where it is from, and the key that takes it

A text that needs further lines has them indented by two blanks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from snnrun.config import conf_dir
from snnrun.shell import command

LABELS = ("source", "published", "here", "run time", "needs")
_DATASET = re.compile(r"^ +- override /dataset: (\S+)$", re.MULTILINE)
_LABEL = re.compile(rf"^# ({'|'.join(LABELS)}): (.*)$")
_FIGURE = re.compile(r"\btest (\d+(?:\.\d+)?)(?: \+- (\d+(?:\.\d+)?))? %(?: |$)")
NO_FIGURE = "none"
START, END = "start", "end"  # when a run without a preset says which there is


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A preset: its data set, and the texts of its header."""

    name: str
    dataset: str
    source: str
    published: str
    here: str
    run_time: str
    needs: str = ""

    @property
    def figure(self) -> str:
        """Return the published test accuracy as the header has it, "97.58 +- 0.12 %", or ""."""
        return _text(_FIGURE.match(self.published))

    @property
    def figure_here(self) -> str:
        """Return the test accuracy that was measured here, in the same form, or ""."""
        return _text(_FIGURE.search(self.here))

    @property
    def rank(self) -> tuple[bool, bool, bool, float]:
        """Return what grows with the worth of the result.

        It is published, it is at least measured here, it is of several seeds, it is higher.
        """
        published = _FIGURE.match(self.published)
        match = published or _FIGURE.search(self.here)
        if not match:
            return False, False, False, 0.0
        return published is not None, True, match[2] is not None, float(match[1])


def read(file: Path) -> Preset:
    """Return what a preset's file says of it; texts that it lacks are empty."""
    text = file.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    label = ""
    for line in text.splitlines():
        match = _LABEL.match(line)
        if match:
            label = match[1]
            found[label] = match[2]
        elif label and line.startswith("#   "):
            found[label] += f" {line[1:].strip()}"
        else:
            label = ""
    dataset = _DATASET.search(text)
    return Preset(
        name=file.stem,
        dataset=dataset[1] if dataset else "",
        source=found.get("source", ""),
        published=found.get("published", ""),
        here=found.get("here", ""),
        run_time=found.get("run time", ""),
        needs=found.get("needs", ""),
    )


@cache
def presets() -> tuple[Preset, ...]:
    """Return the presets that snnrun brings, those of a data set together, the best first."""
    found = [read(file) for file in (conf_dir() / "preset").glob("*.yaml") if file.stem != "none"]
    found.sort(key=lambda preset: preset.name)
    found.sort(key=lambda preset: preset.rank, reverse=True)
    return tuple(sorted(found, key=lambda preset: preset.dataset))


def when_to_suggest(preset: str | None, job: int | None = None) -> tuple[str, ...]:
    """Return when a run says which preset there is for its data set: if it took none itself.

    Args:
        preset: The choice of the run; None where it is not known.
        job: Number of the job of a sweep, from 0, of which only the first says it, and once.
    """
    if preset != "none":
        return ()
    if job is None:
        return START, END
    return () if job else (START,)


def suggestion(dataset: str) -> dict[str, tuple[str, ...]]:
    """Return which preset a run of a data set without one might want, as label -> lines.

    The first says what it gives, the second is its command, the third, if any, what it needs.

    The defaults of a data set are those of a table, and need not train well.
    """
    of_dataset = [preset for preset in presets() if preset.dataset == dataset]
    if not of_dataset:
        return {}
    best = of_dataset[0]
    start: list[str] = [command("train", f"preset={best.name}")]
    start += [f"it needs {best.needs}"] if best.needs else []
    if best.figure:
        return {"published": (f"test {best.figure} with other values; to reproduce it:", *start)}
    if not best.figure_here:
        return {"preset": (f"other values for {dataset}, without a published result:", *start)}
    about = (
        f"test {best.figure_here} with other values, measured here "
        f"(`{command('presets', best.name)}` says how); none is published:"
    )
    return {"measured": (about, *start)}


def _text(match: re.Match[str] | None) -> str:
    return match[0].removeprefix("test ").rstrip() if match else ""
