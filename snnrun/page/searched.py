"""What a search adds to the page of its runs: its history, and how much each key matters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from snnrun.errors import SnnrunError
from snnrun.page.parts import Chart, Part, Section, Text, View, element, missing
from snnrun.page.traces import PERCENT, Trace, axis, literal, packed
from snnrun.search.report import Report, read_search, summary
from snnrun.search.study import is_search


def search(folder: Path) -> list[Section]:
    """Return the section of a search; none of a sweep whose jobs were all asked for."""
    if not is_search(folder):
        return []
    try:
        report = read_search(folder)
        told = summary(report)
    except SnnrunError as error:  # Optuna is not installed here, or nothing has been tried yet
        return [Section("Search", [missing(str(error))])]
    parts: list[Part] = [_history(report)]
    for objective, shares in zip(report.objectives, report.importance(), strict=True):
        if shares:
            parts.append(_importance(objective.name, shares))
    return [Section("Search", [*parts, Text(element("pre", "\n".join(told)))])]


def _history(report: Report) -> Chart:
    """Return the value of each trial and the best up to it; of each objective a view."""
    done = [trial for trial in report.trials if trial.values]
    views = []
    for place, objective in enumerate(report.objectives):
        points: Trace = {
            "type": "scatter",
            "mode": "markers",
            "x": packed([trial.number for trial in done]),
            "y": packed([trial.values[place] for trial in done]),
            "text": [
                literal(" ".join(f"{key}={value}" for key, value in trial.parameters.items()))
                for trial in done
            ],
            "hovertemplate": "trial %{x}: %{y:.4g}<br>%{text}<extra></extra>",
            "name": "trials",
            "marker": {"color": "@0", "size": 7},
        }
        traces = [points]
        if place == 0:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": packed(np.arange(len(report.trials))),
                    "y": packed(report.best_so_far()),
                    "name": "best so far",
                    "line": {"color": "@1", "shape": "hv"},
                }
            )
        layout = {"xaxis": axis("trial", tickformat="d"), "yaxis": axis(objective.name)}
        views.append(View(traces, layout, objective.name))
    return Chart("Trials", views)


def _importance(name: str, shares: Mapping[str, float]) -> Chart:
    keys = list(shares)[::-1]  # names of keys, which hold nothing of HTML
    bars: Trace = {
        "type": "bar",
        "orientation": "h",
        "y": keys,
        "x": [shares[key] for key in keys],
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
        "marker": {"color": "@0"},
    }
    layout = {"xaxis": axis("share", **PERCENT), "yaxis": axis("", type="category")}
    return Chart(f"Importance for {name}", [View([bars], layout)])
