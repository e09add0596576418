"""Recorded trials of a run: spikes and variables of one example, and patterns side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import sympy as sp

from snnrun.datasets import load as load_data
from snnrun.errors import DataError, RecordError
from snnrun.models.equations import symbol
from snnrun.network.network import Network
from snnrun.plots.pattern import MOST_COLUMNS, Shown, patterns
from snnrun.plots.potentials import Course, potentials
from snnrun.plots.raster import OUTPUT, Example, Spikes, raster, target_spikes, titled
from snnrun.plots.records import Asked, Cursor, Records
from snnrun.plots.style import Picture, evenly
from snnrun.record.paths import SPIKES, VARIABLES
from snnrun.record.spikes import SpikeRecord

INPUT = "input"


def rasters(records: Records, asked: Asked) -> Iterator[Picture]:
    """Yield the spikes of an example, if any were recorded."""
    if records.run.recorded()["spikes"]:
        yield raster(example_of(records, asked))


def example_of(records: Records, asked: Asked) -> Example:
    """Return a recorded example: the first of the last recorded epoch, or the one asked for.

    Raises:
        RecordError: It was not recorded.
    """
    run, config = records.run, records.config
    cursor = records.cursor("spikes", asked)
    found = spikes_at(records, cursor)
    first = next(iter(found.values()))
    place, told = _placed(records, cursor, first.examples, asked)
    potentials = None
    if OUTPUT not in found and cursor in run.recorded()["variables"]:
        with suppress(RecordError):  # it was not among them
            potentials = run.variables(*cursor, OUTPUT, "V")[place]
    known = run.task.classes and first.labels is not None and first.predictions is not None
    example = Example(
        title=told,
        trial_ms=config.TRIAL_MS,
        label=int(first.labels[place]) if known else -1,  # type: ignore[index]
        prediction=int(first.predictions[place]) if known else -1,  # type: ignore[index]
        spikes=[_spikes(name, spikes, place) for name, spikes in found.items()],
        potentials=potentials,
        class_names=run.class_names,
        target=target_of(records),
    )
    return titled(example)


def variables(records: Records, asked: Asked) -> Iterator[Picture]:
    """Yield the variables of an example, if any were recorded."""
    run = records.run
    if not run.recorded()["variables"]:
        return
    cursor = records.cursor("variables", asked)
    place, told = _placed(records, cursor, run.variable_examples(*cursor), asked)
    spikes = spikes_at(records, cursor) if cursor in run.recorded()["spikes"] else {}
    pairs = [name.split("/") for name in run.names_in(VARIABLES, *cursor)]
    wanted = courses_of(records)(cursor, run.variable_examples(*cursor)[place : place + 1])
    read = OUTPUT, read_out_of(records.network)
    courses = [
        Course(
            population=population,
            variable=variable,
            values=run.variables(*cursor, population, variable)[place],
            threshold=_level(records, population, variable),
            spikes=_spikes(population, spikes[population], place) if population in spikes else None,
            targets=wanted[0] if wanted is not None and read == (population, variable) else None,
        )
        for population, variable in pairs
    ]
    yield potentials(courses, records.config.TRIAL_MS, told)


def spikes_at(records: Records, cursor: Cursor) -> dict[str, SpikeRecord]:
    """Return the recorded spikes of a trial by population, in the order of the network."""
    names = sorted(
        records.run.names_in(SPIKES, *cursor), key=lambda n: (n != INPUT) + (n == OUTPUT)
    )
    return {name: records.run.spikes(*cursor, name) for name in names}


def side_by_side(records: Records) -> Iterator[Picture]:
    """Yield the recorded trials of a task with target spikes beside these, if there are any."""
    run, config = records.run, records.config
    recorded = run.recorded()["spikes"]
    if not (run.task.targets and recorded):
        return
    columns = [
        Shown(
            title=f"epoch {cursor[0]}, trial {cursor[1]}",
            spikes=[_spikes(n, s, None) for n, s in spikes_at(records, cursor).items()],
        )
        for cursor in evenly(recorded, MOST_COLUMNS)
    ]
    title = f"{records.title}: {len(columns)} of {len(recorded)} recorded trials"
    yield patterns(columns, config.TRIAL_MS, target_of(records), title)


def _spikes(population: str, record: SpikeRecord, place: int | None) -> Spikes:
    """Return the spikes of one example, or of all."""
    times, ids = (record.times_ms, record.ids) if place is None else record.example(place)
    return Spikes(population=population, size=record.n_neurons, times_ms=times, ids=ids)


def _placed(
    records: Records, cursor: Cursor, examples: np.ndarray, asked: Asked
) -> tuple[int, str]:
    """Return the place of the example that is asked for, and all of it in words."""
    place, last = asked.example or 0, len(examples) - 1
    where = f"epoch {cursor[0]}, trial {cursor[1]}"
    if not 0 <= place <= last:
        raise RecordError(f"--example {place}: {where} has the examples 0 to {last}")
    phase = records.phase(cursor)
    about = f"{where}{f' ({phase})' * bool(phase)}, example {place} of 0 to {last}"
    return place, f"{records.title}: {about}, number {examples[place]} of its data"


def target_of(records: Records) -> Spikes | None:
    """Return the target spikes of a task that has some, unless their file is gone."""
    if not records.run.task.targets:
        return None
    with suppress(DataError):
        targets = load_data(records.config).train.data.targets
        return target_spikes(targets, 0, records.config.dataset.outputs, records.config.DT_MS)
    return None


def courses_of(records: Records) -> Callable[[Cursor, np.ndarray], np.ndarray | None]:
    """Return a function of a recorded mini-batch and numbers of its examples: their target courses.

    They are float32 [examples, steps, outputs], or None where the task has none, or where its data
    are gone.
    """
    task, splits = records.run.task, None
    if not (task.classes or task.targets):
        with suppress(DataError):
            splits = load_data(records.config)

    def of(cursor: Cursor, examples: np.ndarray) -> np.ndarray | None:
        if splits is None:
            return None
        validation = records.phase(cursor) == "validation"
        split = (validation and splits.validation) or splits.train
        return None if split.data.courses is None else split.data.courses.of(examples)

    return of


def read_out_of(network: Network | None) -> str:
    """Return the variable of the outputs that a loss reads, and of which target courses are."""
    neuron = network.layers[-1].population.neuron if network else None
    return neuron.variables[0] if neuron else "V"


def threshold_of(
    network: Network | None, population: str, variable: str, states: Mapping[str, np.ndarray]
) -> np.ndarray | None:
    """Return the threshold of a variable: a number, or [steps, neurons] where it moves.

    None where the variable has none, and where the threshold follows from what was not recorded.
    """
    if network is None:
        return None
    of = next(p for p in network.populations if p.name == population)
    if of.neuron is None or of.neuron.system.threshold_state != variable:
        return None
    known: dict[str, Any] = {n: v for n, v in of.values.items() if n not in of.trained}
    known |= states
    expression = sp.sympify(of.neuron.system.threshold_value)
    needed = sorted(one.name for one in expression.free_symbols)
    if not set(needed) <= known.keys():
        return None
    value = sp.lambdify([symbol(name) for name in needed], expression, "numpy")
    return np.asarray(value(*(np.asarray(known[name], float) for name in needed)), float)


def _level(records: Records, population: str, variable: str) -> float | None:
    """Return the threshold of a variable where it is one number for all neurons and steps."""
    level = threshold_of(records.network, population, variable, {})
    return float(level) if level is not None and level.ndim == 0 else None
