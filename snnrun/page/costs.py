"""What a network costs by epoch: synaptic operations, sparsity, and energy by a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from snnrun.page.course import Columns, epochs_of
from snnrun.page.parts import Chart, Part, Section, Text, View, element, joined, missing
from snnrun.page.traces import Axis, axis, curve, logarithmic
from snnrun.record.reader import Run
from snnrun.terminal.costs import OF_PROJECTION, told

KEY = "OPERATION_COUNTS=true"
BY_POPULATION = "activation_sparsity_by_population/"
ENERGIES = {"energy": "all", "memory_energy": "memory traffic"}


def costs(run: Run) -> Section:
    """Return charts of the epochs, and the figures of the test in words."""
    lines = told(run.test)
    said: list[Part] = [Text(joined(element("p", f"Test: {line}") for line in lines))]
    found = [*(said if lines else []), *_charts(run.epochs)]
    return Section("Costs", found or [missing("Operations were not counted.", KEY)])


def _charts(columns: Columns) -> Iterator[Chart]:
    split = "validation_" if _of(columns, f"validation_{OF_PROJECTION}") else "train_"
    word = "validation" if split == "validation_" else "training"
    operations = _of(columns, f"{split}{OF_PROJECTION}")
    if operations:
        label = axis(f"per example, {word}", **logarithmic(list(operations.values())))
        yield _chart("Synaptic operations by projection", columns, operations, label)
    sparsity = _of(columns, f"{split}{BY_POPULATION}")
    if sparsity:
        label = axis(f"without a spike, {word}", tickformat=".2%")
        yield _chart("Activation sparsity", columns, sparsity, label)
    energy = {
        name: columns[f"{split}{column}"]
        for column, name in ENERGIES.items()
        if f"{split}{column}" in columns
    }
    if energy:
        label = axis(f"nJ per example, {word}", rangemode="tozero")
        yield _chart("Energy by the model", columns, energy, label)


def _chart(title: str, columns: Columns, of: Mapping[str, np.ndarray], label: Axis) -> Chart:
    traces = [
        curve(columns["epoch"], v, name, number) for number, (name, v) in enumerate(of.items())
    ]
    return Chart(title, [View(traces, {"xaxis": epochs_of(columns), "yaxis": label})])


def _of(columns: Columns, before: str) -> Columns:
    return {name.removeprefix(before): v for name, v in columns.items() if name.startswith(before)}
