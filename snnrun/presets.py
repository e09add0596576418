"""What the files of conf/preset/ say of themselves: source, published result, run time.

The preset that is called as a data set is the recommended setting of it, which is taken when no
preset is chosen. A preset opens with comments: the line of @package, the command that runs it, and
labelled texts,

    # source: where its values are from
    # published: test 97.58 +- 0.12 % (10 seeds, last epoch)   or: none, and why
    # here: what it gave here, if somebody has tried; scripts/figures writes it
    # chosen: how the values were chosen, and what others gave
    # run time: what to expect
    # rules: of a recommended one the learning rules that it is for, as in eventprop, surrogate
    # needs: a file that no command fetches, where it is from, and the key that takes it

A text that needs further lines has them indented by two blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from snnrun.config import conf_dir
from snnrun.errors import either

LABELS = ("source", "published", "here", "chosen", "run time", "rules", "needs")
_DATASET = re.compile(r"^ +- override /dataset: (\S+)$", re.MULTILINE)
_TEXT = re.compile(rf"^# ({'|'.join(LABELS)}): (.*(?:\n#   .*)*)", re.MULTILINE)
_FURTHER = re.compile(r"\n# +")
_FIGURE = re.compile(r"\btest (\d+(?:\.\d+)?)(?: \+- (\d+(?:\.\d+)?))? %(?: |$)")
NO_FIGURE = "none"
NONE = "none"  # the choice of no preset


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A preset: its data set, and the texts of its header."""

    name: str
    dataset: str
    source: str
    published: str
    here: str
    run_time: str
    chosen: str = ""
    rules: tuple[str, ...] = ()
    needs: str = ""

    @property
    def recommended(self) -> bool:
        """Return whether this is what a run of the data set takes where no preset is chosen."""
        return self.name == self.dataset

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
    found = {label: _FURTHER.sub(" ", words).rstrip() for label, words in _TEXT.findall(text)}
    texts = {name.replace(" ", "_"): found.get(name, "") for name in LABELS if name != "rules"}
    rules = tuple(found.get("rules", "").replace(",", " ").split())
    return Preset(name=file.stem, dataset=_dataset_of(file, text), rules=rules, **texts)


def _dataset_of(file: Path, text: str) -> str:
    """Return the data set that a preset chooses, or that it is called as; "" for neither."""
    chosen = _DATASET.search(text)
    if chosen:
        return chosen[1]
    return file.stem if (file.parents[1] / "dataset" / file.name).is_file() else ""


@cache
def presets() -> tuple[Preset, ...]:
    """Return the presets that snnrun brings, those of a data set together.

    Of these the recommended one is the first, and then the best.
    """
    found = [read(file) for file in (conf_dir() / "preset").glob("*.yaml") if file.stem != NONE]
    found.sort(key=lambda preset: preset.name)
    found.sort(key=lambda preset: (preset.recommended, preset.rank), reverse=True)
    return tuple(sorted(found, key=lambda preset: preset.dataset))


def file_of(name: str | None, folders: Iterable[Path]) -> Path | None:
    """Return the file of a preset, in the first of the folders that has it; None without one."""
    files = (folder / "preset" / f"{name}.yaml" for folder in folders)
    return next((file for file in files if file.is_file()), None)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where the values of a run are from, besides the command line and the table."""

    preset: str | None  # NONE: from nowhere else; None: not known
    by_default: bool = False  # the preset was taken as that of the data set, not chosen
    left_out: tuple[str, ...] = ()  # its keys that have no effect with what was chosen


UNKNOWN = Setting(preset=None)


def said_of(setting: Setting, dataset: str, rule: str) -> dict[str, str | Sequence[str]]:
    """Return what a run says of its setting at the start, as label -> lines."""
    if setting.preset is None:
        return {}
    if setting.preset == NONE:
        return _said_of_the_table(dataset, rule)
    names = ", ".join(setting.left_out)
    lines = [f"without its {names}: no effect beside the other choices"] if names else []
    if setting.by_default:
        about = f"preset {setting.preset}, recommended for this data set"
        lines = [f"{about} (preset={NONE}: the table's values)", *lines]
    elif lines:
        lines = [f"preset {setting.preset}", *lines]
    return {"setting": lines} if lines else {}


def _said_of_the_table(dataset: str, rule: str) -> dict[str, str | Sequence[str]]:
    recommended = {preset.name: preset for preset in presets()}.get(dataset)
    if recommended is None:
        return {}
    if rule not in recommended.rules:
        rules = either([f"rule={name}" for name in recommended.rules])
        about = f"the table's values, as preset={dataset}, recommended for this data set, is for"
        return {"setting": f"{about} {rules}"}
    here = f" (test {recommended.figure_here} here)" if recommended.figure_here else ""
    return {"setting": f"the table's values; recommended is preset={dataset}{here}"}


def _text(match: re.Match[str] | None) -> str:
    return match[0].removeprefix("test ").rstrip() if match else ""
