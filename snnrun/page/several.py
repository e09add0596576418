"""The page of many runs: those of a sweep, or any that are compared."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml  # type: ignore[import-untyped]

from snnrun.config import flat
from snnrun.keys.kinds import shown
from snnrun.numbers import duration, rate, size_in_words
from snnrun.page.comparison import by_key, curves
from snnrun.page.parts import (
    Cell,
    Markup,
    Page,
    Part,
    Section,
    Table,
    Text,
    element,
    joined,
    paragraph,
)
from snnrun.plots.groups import only_kept
from snnrun.record.paths import RunPaths
from snnrun.sweeps.settings import (
    ASIDE,
    COSTS,
    Figure,
    Setting,
    best_of,
    differing,
    fold,
    judged_by,
    setting_keys,
    value_of,
)
from snnrun.sweeps.sweep import DONE, LOADER, RUNNING, WAITING, Job
from snnrun.sweeps.table import HEADINGS, MEANING, WORDS, counted, in_short, percent, reasons

_SCORES = ("train", "validation", "test", "test_best")
_LONGEST_NAME = 70
_MOST_COMPARED = 1000  # runs among which two can be chosen


@dataclass(frozen=True)
class Several:
    """Runs that are shown together.

    Args:
        title: Of the page.
        jobs: The runs.
        beside: The folder of the page, from which links lead to the runs; None: without links.
        extra: Sections of their own, as those of a search.
    """

    title: str
    jobs: Sequence[Job]
    beside: Path | None = None
    extra: Sequence[Section] = ()


def page_of_several(found: Several) -> Page:
    """Return what there is to show of many runs."""
    jobs = found.jobs
    settings = fold(
        jobs, [key for key in setting_keys(jobs) if key == "N_EPOCH" or not only_kept(key)]
    )
    return Page(
        found.title,
        [
            _head(jobs, settings),
            Section("Table", _table(settings)),
            *found.extra,
            Section("Curves", curves(settings)),
            *by_key(settings),
            Section("Differences", _differences(jobs)),
            Section("All runs", [_runs(found)]),
        ],
    )


def _head(jobs: Sequence[Job], settings: Sequence[Setting]) -> Section:
    """Return how many runs are in which state, the best setting, and why runs failed."""
    counts = Counter(job.state for job in jobs)
    best, by = best_of(settings), judged_by(jobs)
    tiles = [(f"{counts[DONE]} of {len(jobs)}", "runs have finished")]
    if counts[RUNNING] or counts[WAITING]:
        tiles.append((str(counts[RUNNING]), f"run now, {counts[WAITING]} wait"))
    tiles.append(
        (str(len(settings)), "settings" if len(settings) > 1 else "setting, but for seeds")
    )
    if best is not None:
        tiles.append((f"{_plus_minus(best.figure(by))} %", f"{by}, the best setting's mean"))
        if best.figure("test").n:
            tiles.append((f"{_plus_minus(best.figure('test'))} %", "test, of the same setting"))
    drawn = [
        element("div", element("b", value), element("span", label), class_="tile")
        for value, label in tiles
    ]
    parts: list[Part] = [Text(element("div", *drawn, class_="tiles"))]
    rows = [("data", ", ".join(dict.fromkeys(job.dataset for job in jobs if job.dataset)))]
    rows.append(("states", counted(counts)))
    rows.append(("time", f"{duration(sum(job.seconds for job in jobs))} of all epochs"))
    if best is not None and best.values:
        told = " ".join(f"{key}={value}" for key, value in best.values.items())
        rows.append(("best setting", told))
    if keys := differing(jobs):
        rows.append(("keys that differ", ", ".join(keys)))
    items = [part for label, text in rows for part in (element("dt", label), element("dd", text))]
    parts.append(Text(element("dl", *items)))
    if failed := reasons(jobs):
        parts.append(Text(element("pre", "\n".join(failed))))
    return Section("Runs", parts)


def _table(settings: Sequence[Setting]) -> list[Part]:
    """Return a row for each setting, as `snnrun sweep table` has it."""
    keys, best = list(settings[0].values), best_of(settings)
    costs = [name for name in COSTS if any(s.figure(name).n for s in settings)]
    heading = ["", *keys, "runs", *HEADINGS.values(), *costs, "time", "epoch", "memory", "others"]
    rows = []
    for setting in settings:
        done = len(setting.finished)
        others = counted(Counter(job.state for job in setting.jobs if job.state != DONE))
        seconds = setting.figure("seconds").mean
        epoch, memory = (setting.figure(n).mean for n in ("seconds_per_epoch", "memory"))
        rows.append(
            [
                "best" if setting is best else "",
                *(Cell(setting.values[key] or "-", setting.values[key]) for key in keys),
                Cell(
                    str(done) if done == len(setting.jobs) else f"{done} of {len(setting.jobs)}",
                    done,
                ),
                *(_percent(setting.figure(name)) for name in HEADINGS),
                *(_cost(setting.figure(name)) for name in costs),
                Cell(duration(seconds), _or_none(seconds)),
                Cell(duration(epoch), _or_none(epoch)),
                Cell(size_in_words(memory), _or_none(memory)),
                others,
            ]
        )
    left = {*range(len(keys) + 1), len(heading) - 1}
    word = WORDS[judged_by(job for setting in settings for job in setting.jobs)]
    meaning = MEANING.format(word=word).replace("\n", " ").replace("+-", "±").partition(" *")[0]
    if costs:
        meaning += " Operations are effective ones, the energy is in nJ; both of an example."
    meaning += f" The row that stands out is the best by {word}."
    chosen = next((k for k, setting in enumerate(settings) if setting is best), None)
    return [Table(heading, rows, left, chosen=chosen), paragraph(meaning, kind="note")]


def _percent(figure: Figure) -> Cell:
    return Cell(_plus_minus(figure), _or_none(figure.mean))


def _cost(figure: Figure) -> Cell:
    return Cell(rate(figure.mean), _or_none(figure.mean))


def _plus_minus(figure: Figure) -> str:
    return percent(figure).replace("+-", "±")


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _runs(found: Several) -> Table:
    """Return a row for each run, with a link to its page or folder."""
    jobs = found.jobs
    keys = differing(jobs)
    scores = [s for s in _SCORES if any(not math.isnan(getattr(j, f"{s}_score")) for j in jobs)]
    words = {"validation": "valid", "test_best": "best weights, test"}
    heading = ["run", *keys, "state", "epochs", *(f"{words.get(s, s)}%" for s in scores)]
    rows = []
    for job in jobs:
        values = [getattr(job, f"{score}_score") for score in scores]
        epochs = f"{job.epochs}/{job.n_epochs}" if job.n_epochs else "-"
        rows.append(
            [
                Cell(_link(job, found.beside), job.number),
                *(Cell(value_of(job, key) or "-", value_of(job, key)) for key in keys),
                Cell(_state(job), job.state),
                Cell(epochs, job.epochs),
                *(Cell("-" if math.isnan(v) else f"{100 * v:.2f}", _or_none(v)) for v in values),
                Cell(duration(job.seconds or None), job.seconds),
            ]
        )
    return Table([*heading, "time"], rows, range(len(keys) + 2))


def _state(job: Job) -> str:
    left = f", {duration(job.seconds_left)} left" if job.seconds_left is not None else ""
    reason = f": {in_short(job.reason, 120)}" if job.reason else ""
    return f"{job.state}{left}{reason}"


def _link(job: Job, beside: Path | None) -> str:
    name = job.folder.name if job.created else f"job {job.number}"
    if beside is None or not job.created:
        return name
    page = RunPaths(job.folder).page
    way = os.path.relpath((page if page.exists() else job.folder).resolve(), beside.resolve())
    return element("a", name, href=quote(Path(way).as_posix()))


def _differences(jobs: Sequence[Job]) -> list[Part]:
    """Return a table of the keys in which two runs differ, which can be chosen."""
    read = {job.number: _config(job) for job in jobs[:_MOST_COMPARED]}
    known = [job for job in jobs if read.get(job.number)]
    if len(known) < 2:
        return [paragraph("There are no two runs with a configuration yet.", kind="missing")]
    configs = [read[job.number] for job in known]
    keys = dict.fromkeys(key for config in configs for key in config if key not in ASIDE)
    given = differing(known)
    rows = []
    for key in keys:
        values = [config.get(key) for config in configs]
        if len(set(values)) > 1:
            told = json.dumps(values)
            cells = element("td", key, class_="left"), element("td"), element("td")
            rows.append(element("tr", *cells, data_values=told))
    names = [_name(job, given) for job in known]
    boxes = []
    for place, word in enumerate(("this run", "and this one")):
        options = [
            element("option", name, value=str(job.number), selected=k == place)
            for k, (job, name) in enumerate(zip(known, names, strict=True))
        ]
        boxes.append(element("label", f"{word} ", element("select", *options)))
    heads = (element("th", text, scope="col") for text in ("key", "this run", "and this one"))
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *rows))
    scroll = element("div", table, class_="scroll", tabindex="0")
    nothing = element("output", "", class_="note")
    box = element("div", *boxes, scroll, nothing, class_="pair wide")
    return [Text(Markup(joined([box])))]


def _name(job: Job, keys: Sequence[str]) -> str:
    told = " ".join(f"{key}={value}" for key in keys if (value := value_of(job, key)))
    return in_short(f"{job.folder.name} {told}".strip(), _LONGEST_NAME)


def _config(job: Job) -> Mapping[str, str]:
    """Return key -> value as text of the configuration of a run; nothing before it has one."""
    try:
        text = RunPaths(job.folder).config.read_text(encoding="utf-8")
        return {key: shown(value) for key, value in flat(yaml.load(text, LOADER)).items()}
    except (OSError, ValueError, yaml.YAMLError):
        return {}
