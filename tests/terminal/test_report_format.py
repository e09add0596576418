from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from snnrun.numbers import duration, number, percent, rate
from snnrun.tasks import CLASSIFICATION
from snnrun.terminal.format import epoch_cells, epoch_heading, epoch_notes, hidden_layers, listing

ROW = {
    "epoch": 12,
    "train_loss": 0.04123,
    "train_accuracy": 0.98123,
    "validation_loss": 0.0524,
    "validation_accuracy": 0.979,
    "learning_rate": 0.005,
    "seconds": 1.234,
    "spikes_per_neuron/hidden": 1.234,
    "silent_neurons/hidden": 12,
}


TEXTS: dict[Callable[[Any], str], dict[float | None, str]] = {
    duration: {
        0.0: "0.00s",
        1.234: "1.23s",
        9.999: "10.0s",
        59.9: "59.9s",
        59.99: "1:00",
        65: "1:05",
        3599.7: "1:00:00",
        7265: "2:01:05",
        86400 * 3 + 4 * 3600: "3d 04h",
        math.inf: "-",
    },
    number: {0.0: "0.0000", 0.5: "0.5000", 123.45678: "123.4568", 1e-5: "1.00e-05"},
    rate: {2.34: "2.3", 123.4: "123", 12_345: "12.3k", 2_345_678: "2.3M"},
    percent: {0.98123: "98.12%", 1.0: "100.00%"},
}


@pytest.mark.parametrize("write", TEXTS)
def test_numbers_are_written_in_few_characters(write: Callable[[Any], str]) -> None:
    for value, text in (TEXTS[write] | {None: "-", math.nan: "-"}).items():
        assert write(value) == text


def test_row_of_an_epoch_fits_80_columns_below_its_heading() -> None:
    heading = epoch_heading(["hidden"], range(10), CLASSIFICATION)
    row = "".join(epoch_cells(ROW, ["hidden"], CLASSIFICATION, 92.0, best=True))
    assert heading[0] == "* marks the best epoch so far"
    assert heading[1].split()[-3:] == ["learning", "epoch", "time"]
    assert heading[2].split() == [
        "epoch",
        *("loss", "acc") * 2,
        "/neuron",
        "neur.",
        "rate",
        "took",
        "left",
    ]
    assert row == (
        "*  12   0.0412  98.12%   0.0524  97.90%    1.23     12 5.00e-03   1.23s    1:32"
    )
    assert {len(line) for line in (row, *heading[1:])} == {79}


def test_row_of_several_layers_shows_each_of_them() -> None:
    row = {"epoch": 0, "learning_rate": None}
    for layer, spikes in enumerate((1.25, 0.5, 12.0)):
        row |= {f"spikes_per_neuron/hidden{layer}": spikes, f"silent_neurons/hidden{layer}": layer}
    row |= {"spikes_per_neuron/output": 3.0}
    layers = hidden_layers(row)
    assert layers == ["hidden0", "hidden1", "hidden2"]
    cells = epoch_cells(row, layers, CLASSIFICATION, None)
    assert [cell.strip() for cell in cells] == ["0", *"----", "1.2/0.5/12.0", "0/1/2", *"---"]
    assert len("".join(cells)) == len(epoch_heading(layers, range(10), CLASSIFICATION)[1])


def test_figures_of_large_layers_stay_apart() -> None:
    spikes = {"spikes_per_neuron/one": 10.0, "spikes_per_neuron/two": 20.0}
    silent = {"silent_neurons/one": 896, "silent_neurons/two": 277}
    cells = epoch_cells({"epoch": 0, **spikes, **silent}, ["one", "two"], CLASSIFICATION, None)
    assert "".join(cells).split()[-5:-3] == ["10.0/20.0", "896/277"]


NOTED = {
    **{
        f"{before}spikes_per_neuron{tail}/hidden1": value
        for before in ("", "validation_")
        for tail, value in (("", 12.346), ("_std", 10.5), ("_min", 0.0), ("_max", 321.0))
    },
    "silent_neurons/hidden1": 3,
    "validation_silent_neurons/hidden1": 1234,
    "rewired_neurons/hidden0": 1,
    "rewired_neurons/hidden1": 0,
}


def test_notes_below_an_epoch_are_what_was_recorded_beside_the_usual_figures() -> None:
    assert epoch_notes(ROW, ["hidden"]) == []
    notes = epoch_notes(NOTED, ["hidden0", "hidden1"])
    assert notes == [
        "  hidden0: 1 silent neuron rewired before this epoch",
        "  hidden1 train       spikes 12.35  sd 10.50  min 0.00  max 321.0  silent 3",
        "  hidden1 validation  spikes 12.35  sd 10.50  min 0.00  max 321.0  silent 1,234",
    ]
    assert max(map(len, notes)) <= 80


def test_listing_wraps_words_but_never_cuts_a_path() -> None:
    path = "/" + "very-long-name/" * 8
    lines = listing({"data": ["one " * 30, "two"], "files": path, "none": ""}, 80)
    assert lines[0].startswith("  data        one one")
    assert all(len(line) <= 80 for line in lines if path not in line)
    assert "              two" in lines
    assert f"  files       {path}" in lines
    assert lines[-1] == "  none"
