"""A Program as the description of a GeNN model."""

from __future__ import annotations

from dataclasses import replace

from snnrun.backends.genn.description import Description, Neurons
from snnrun.backends.genn.flags import flag_table
from snnrun.backends.genn.learning import trained_tensors, updates_of
from snnrun.backends.genn.population import MOST_ENTRIES, PopulationWriter
from snnrun.backends.genn.readout import Watched
from snnrun.backends.genn.settings import Settings
from snnrun.backends.genn.source import input_population
from snnrun.backends.genn.synapse import learns_from_input, projections_of
from snnrun.backends.genn.watch import watch
from snnrun.compile.program import Program
from snnrun.errors import ConfigError


def describe(program: Program, settings: Settings) -> Description:
    """Return the GeNN model of ``program``.

    Raises:
        ConfigError: It has a neuron that is declared by an update, a loss of shares, or more than
            GeNN can index.
    """
    for compiled in program.populations:
        if compiled.dynamics.neuron.discrete:
            raise ConfigError(
                f"population {compiled.population.name}: neuron {compiled.dynamics.neuron.name} is "
                "declared by its update in discrete time, which backend genn cannot run; use "
                "backend=native"
            )
    if program.loss.readout.shares:
        raise ConfigError(
            f"LOSS_TYPE={program.loss.name}: the outputs share what each of them sends back, which "
            "backend genn cannot do; use backend=native or another loss"
        )
    output = program.populations[-1]
    if output.dynamics.mapped and program.loss.readout.peaks:
        raise ConfigError(
            f"population {output.population.name}: neuron {output.dynamics.neuron.name} is not "
            f"linear between spikes, and loss {program.loss.name} reads the maximum of its "
            "potential, which backend genn cannot run together; use backend=native"
        )
    if program.loss.readout.courses:
        raise ConfigError(
            f"loss {program.loss.name} compares potentials with target courses, which backend genn "
            "cannot run; use backend=native"
        )
    network = program.network
    watched = watch(program, settings)
    last = program.populations[-1]
    source = input_population(
        network.input.name,
        network.input.size,
        program.steps,
        settings,
        back=learns_from_input(program),
    )
    layers = [
        PopulationWriter(program, c, settings, watched if c is last else Watched()).write()
        for c in program.populations
    ]
    layers[-1] = with_flags(layers[-1], len(trained_tensors(program)))
    for population in layers:
        check_tables(population)
    return Description(
        program=program.describe(),
        batch=settings.batch,
        precision=settings.scalar,
        neurons=(source, *layers),
        synapses=tuple(projections_of(program, settings)),
        updates=(*watched.updates(), *updates_of(program)),
    )


def with_flags(output: Neurons, count: int) -> Neurons:
    """Return the output population with the flags of ``count`` tensors."""
    return replace(output, tables=(*output.tables, *flag_table(count)))


def check_tables(population: Neurons) -> None:
    """Raise ConfigError for a table that GeNN's snippets, which index with int, cannot reach."""
    for table in population.tables:
        if len(table.values) > MOST_ENTRIES:
            raise ConfigError(
                f"table {table.name} of population {population.name} would have "
                f"{len(table.values):,} entries, more than GeNN can index; use a smaller N_BATCH, "
                "or fewer steps (TRIAL_MS / DT_MS)"
            )
