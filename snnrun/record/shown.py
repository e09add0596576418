"""A run in ten lines, as text and as a small HTML table: what a notebook shows of it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from snnrun.record.reader import Run

_PRE = "text-align:left;vertical-align:top"


def as_text(run: Run) -> str:
    """Return the lines about a run."""
    rows = lines_of(run)
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {text}" for label, text in rows)


def as_html(run: Run) -> str:
    """Return the lines about a run as an HTML table, which brings no style of its own."""
    cells = "".join(
        f'<tr><th style="{_PRE}">{html.escape(label)}</th>'
        f'<td style="{_PRE}">{html.escape(text)}</td></tr>'
        for label, text in lines_of(run)
    )
    return f"<table>{cells}</table>"


def lines_of(run: Run) -> list[tuple[str, str]]:
    """Return label and text of each line."""
    about, config = run.provenance, run.config
    kept = "held in memory (WRITE_TO_DISK=false)" if run.held else str(run.paths.root)
    done = len(run.epochs.get("epoch", ()))
    recorded = [f"{kind} {len(at)}" for kind, at in run.recorded().items() if at]
    seconds = float(np.sum(run.epochs.get("seconds", np.zeros(0))))
    rows = [
        ("run", kept),
        ("name", f"{about['name']}, seed {config['MODEL_SEED']}"),
        ("data set", str(about["dataset"])),
        ("network", _network(config)),
        ("state", f"{_state(run)}, {done} of {about['n_epochs']} epochs in {seconds:,.0f} s"),
        *run.task.about(run.epochs, run.score, run.loss),
        ("recorded", ", ".join(recorded) or "metrics only"),
        ("warnings", ", ".join(dict.fromkeys(map(str, run.warnings["what"])))),
    ]
    return [row for row in rows if row[1]]


def _state(run: Run) -> str:
    if run.finished:
        return f"finished {run.finished}"
    return "running" if run.running else "stopped before its end"


def _network(config: dict) -> str:
    neuron, rule = config["HIDDEN_NEURON_TYPE"], config["rule"]["name"]
    return f"{config['network']['name']}, {neuron}, rule {rule}, loss {config['LOSS_TYPE']}"
