"""What GeNN is given, made without it: readable, complete, with names that do not collide."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from long import long_but
from oracle import problem
from parity import data_of, native, program_of
from ported import DELAYED, graph
from superspike_problem import CASES, config_of
from test_golden import PROGRAMS, program, rounded

from snnrun.backends.base import Noise
from snnrun.backends.draws import kept_events
from snnrun.backends.genn.describe import describe
from snnrun.backends.genn.description import Description
from snnrun.backends.genn.events import EventTables
from snnrun.backends.genn.online_synapse import describe_online
from snnrun.backends.genn.printer import TAKEN
from snnrun.backends.genn.settings import Settings
from snnrun.backends.genn.units import mini_batches
from snnrun.compile.program import Program, compile_program
from snnrun.datasets import load
from snnrun.errors import ConfigError
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.losses import LOSSES
from snnrun.models.neurons import LI
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.run import build_program

FOLDER = Path(__file__).parents[1] / "golden"
UPDATE = os.environ.get("SNNRUN_UPDATE_GOLDEN") == "1"
SETTINGS: Mapping[str, Settings] = MappingProxyType(
    {
        "lif-recurrent": Settings(),
        "alif-trained-taus": Settings(batch=32, pipeline=True, traced=True),
        "first-spike": Settings(precision="float64"),
    }
)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_description_is_the_one_that_was_reviewed(name: str) -> None:
    found = rounded(describe(program(PROGRAMS[name]), SETTINGS[name]).text())
    file = FOLDER / f"{name}.genn.txt"
    if UPDATE:
        file.write_text(found)
    assert found == file.read_text(), (
        "the description for GeNN has changed; if that is meant, SNNRUN_UPDATE_GOLDEN=1 pytest "
        "tests/genn writes it anew, and git diff shows how"
    )


def check_names(description: Description) -> None:
    """Every name that an update or a projection reads exists; none is declared twice."""
    declared: dict[str, set[str]] = {}
    for part in (*description.neurons, *description.synapses, *description.updates):
        names = [v.name for v in part.variables]
        for more in ("of_source", "of_target"):
            names += [v.name for v in getattr(part, more, ())]
        for more in ("tables", "parameters"):
            names += [item.name for item in getattr(part, more, ())]
        names += getattr(part, "inputs", ())
        names += [r.name for r in getattr(part, "references", ())]
        assert len(set(names)) == len(names), part.name
        declared[part.name] = set(names)
    for synapses in description.synapses:
        assert {v.name for v in synapses.before} <= declared[synapses.source]
        assert {v.name for v in synapses.after} <= declared[synapses.target]
        assert synapses.into in {"Isyn", *declared[synapses.target]}
        assert synapses.back_into in {"", *declared[synapses.source]}
    for update in description.updates:
        for reference in update.references:
            assert reference.variable in declared[reference.owner], (update.name, reference)


RUN = [name for name, loss in LOSSES.items() if not loss.readout.shares]


def test_a_loss_of_shares_is_refused() -> None:
    with pytest.raises(ConfigError, match="LOSS_TYPE=sum_softmax: the outputs share what each"):
        describe(program_of(problem(loss="sum_softmax"), 0.1), Settings())


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize("loss", RUN)
@pytest.mark.parametrize("model", long_but(["lif", "lif_subtract", "alif"], ["alif"]))
def test_whatever_a_model_refers_to_is_there(model: str, loss: str, pipeline: bool) -> None:
    given = problem(model, loss, recurrent=True, hidden_layers=2, t_ref=1.0)
    check_names(describe(program_of(given, 0.1), Settings(pipeline=pipeline, traced=True)))


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize("loss", RUN)
def test_whatever_a_graph_refers_to_is_there(loss: str, pipeline: bool) -> None:
    settings = Settings(pipeline=pipeline, traced=True, late_steps=5)
    check_names(describe(graph(loss, **DELAYED), settings))


@pytest.mark.parametrize("case", CASES)
def test_whatever_a_model_that_learns_online_refers_to_is_there(case: str) -> None:
    config = config_of(CASES[case])
    made = build_program(config, load(config))
    description = describe_online(made, Settings(traced=True))
    check_names(description)
    switches = {p.name for part in description.neurons for p in part.parameters if not p.value}
    assert switches == {"live", "shift", "emit"}
    for update in description.updates:
        owners = {n.name: {t.name for t in n.tables} for n in description.neurons}
        assert all(shared.table in owners[shared.owner] for shared in update.tables)
        heterosynaptic = config.rule.het_rho != 0 and update.name == "in_to_hid_rmaxprop"
        assert ("own_sum" in {shared.table for shared in update.tables}) == heterosynaptic
        # GeNN's CUDA code of an update over dense synapses does not compile with these names
        assert not re.search(r"\bid_(pre|post)\b", update.code)


def awkward(names: tuple[str, str, str]) -> Program:
    """Return a network whose neuron has states and a parameter of these names."""
    V, I, tau = names  # noqa: E741
    neuron = Neuron(
        name="awkward",
        equations=f"d{V}/dt = ({I} - {V}) / {tau}\n d{I}/dt = -{I} / {tau}",
        input=I,
        threshold=f"{V} >= 1",
        reset=f"{V} = 0",
        parameters=(Parameter(name=tau, default=5.0, unit="ms", positive=True, meaning="both"),),
        meaning="a neuron with names that GeNN or its code uses",
        source="tests only",
    )
    hidden = Population(
        name="hidden",
        size=3,
        neuron=neuron,
        values={tau: np.full(3, 5.0)},
        trained=(tau,),
        floors={},
    )
    output = Population(
        name="output",
        size=2,
        neuron=LI,
        floors={},
        values={p.name: p.default for p in LI.parameters},
    )

    def projection(name: str, source: str, target: str) -> Projection:
        return Projection(name=name, source=source, target=target, mean=1.0, std=0.1)

    network = Network(
        input=Population(name="input", size=4, values={}, floors={}),
        layers=(
            Layer(population=hidden, projections=(projection("in_to_hid", "input", "hidden"),)),
            Layer(population=output, projections=(projection("hid_to_out", "hidden", "output"),)),
        ),
    )
    return compile_program(network, LOSSES["sum"], {}, steps=10, dt=1.0)


AWKWARD = [
    ("t", "dt", "id"),
    ("count", "due", "batch"),
    ("lam_V", "spike_V", "P_V_V"),
    ("n", "m", "step"),
    ("Isyn", "drive", "slope"),
    ("R", "dl_dt", "scalar"),
    ("tape_V", "next_V", "gradient_x"),
]


@pytest.mark.parametrize("names", AWKWARD, ids="-".join)
def test_names_that_are_taken_get_a_tail(names: tuple[str, str, str]) -> None:
    description = describe(awkward(names), Settings())
    check_names(description)
    hidden = description.neurons[1]
    for name in names:
        assert f"{name}_of_model" in hidden.sim_code
        assert f"{name}_of_model" in {v.name for v in hidden.variables}


def test_every_name_of_the_generated_code_is_one_that_users_cannot_take() -> None:
    found, made = set(), []
    for case in CASES.values():
        config = config_of(case)
        made.append(describe_online(build_program(config, load(config)), Settings(traced=True)))
    for name in PROGRAMS:
        for pipeline in (False, True):
            made.append(describe(program(PROGRAMS[name]), Settings(pipeline=pipeline, traced=True)))
    made += [describe(graph(loss, **DELAYED), Settings(traced=True)) for loss in ("sum", "max")]
    for description in made:
        for neurons in description.neurons[1:]:
            code = neurons.sim_code + neurons.reset_code
            found |= set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", code))
    known = {"V", "I", "J", "B", "tau_mem", "tau_syn", "tau_slow", "v_thresh", "b_incr"}
    known.add("LEVEL_PER_STEP")
    prefixed = re.compile(
        "lam_|P_|H_|dP_|dH_|tape_|past_|spike_|kept_|released_|at_release_|"
        "next_|peak_|trace_|gradient_|inverse_|shown_|later_|arrived_|arrival_slope_|"
        "pull_|In_|Apart_"
    )
    assert {n for n in found - known - TAKEN if not prefixed.match(n)} == set()


def test_dropout_leaves_the_events_that_the_native_backend_leaves() -> None:
    given = problem("lif", "sum", examples=3, spread=0.0)
    data, backend = data_of(given, 0.1), native(program_of(given, 0.1, train=()))
    lengths = set()
    for example in range(3):
        for dropout, key in ((0.0, 5), (0.3, 5), (0.3, 2**64 - 3), (0.9, 77)):
            trial = backend.trial(data, example, Noise(dropout=dropout, key=key))
            steps, channels = kept_events(data, example, dropout, key)
            np.testing.assert_array_equal(steps, trial.input_steps)
            np.testing.assert_array_equal(channels, trial.input_channels)
            lengths.add(len(steps))
    assert len(lengths) > 4


def test_units_hold_every_example_once_and_no_other_mini_batch() -> None:
    examples = np.arange(100, 123)
    found = [u for one in mini_batches(examples, batch=10, size=4) for u in one]
    np.testing.assert_array_equal(
        np.concatenate([u.examples[u.examples >= 0] for u in found]), examples
    )
    assert [u.count for u in found] == [4, 4, 2, 4, 4, 2, 3]
    assert [u.last for u in found] == [False, False, True, False, False, True, True]
    assert {u.scale for u in found} == {1 / 10, 1 / 3}
    assert all(len(u.examples) == 4 for u in found)


def test_event_tables_hold_every_data_set_where_it_was_placed() -> None:
    sets = [data_of(problem("lif", "sum", examples=n, seed=n), 0.1) for n in (2, 3, 9)]
    tables = EventTables(sets[0].n_channels, sets[:2])
    placed = [tables.find(data) for data in sets]
    assert placed[2] is None
    check_contents(tables)
    _, grown = tables.add(sets[2])
    assert grown
    assert tables.find(sets[2]) is not None
    check_contents(tables)


def test_event_tables_keep_no_data_set_alive_and_leave_out_other_channels() -> None:
    sets = [data_of(problem("lif", "sum", examples=n, seed=n), 0.1) for n in (2, 3)]
    tables = EventTables(sets[0].n_channels, sets)
    del sets[1]
    assert [placed.data() is None for placed in tables.placed] == [False, True]
    check_contents(EventTables(sets[0].n_channels + 1, sets))
    assert not EventTables(sets[0].n_channels + 1, sets).placed


def check_contents(tables: EventTables) -> None:
    starts = np.full(tables.row_capacity, 7, np.uint32)
    steps = np.full(tables.event_capacity, 7, np.uint16)
    tables.fill(starts, steps)
    for placed in tables.placed:
        data = placed.data()
        assert data is not None
        found = tables.beginnings(data, np.arange(len(data)))
        for e in range(len(data)):
            row, first = int(found["row"][e]), int(found["first"][e])
            ends = starts[row : row + data.n_channels + 1]
            np.testing.assert_array_equal(ends, data.channel_pointers[e])
            begin, end = data.offsets[e : e + 2]
            np.testing.assert_array_equal(
                steps[first : first + end - begin], data.step_by_channel[begin:end]
            )
        empty = tables.beginnings(data, np.array([-1]))
        assert not starts[empty["row"][0] : empty["row"][0] + data.n_channels + 1].any()


def test_buffers_that_cannot_be_indexed_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"N_MAX_SPIKE=60000: .* use at most N_MAX_SPIKE="):
        describe(program({"NUM_HIDDEN": 1024}), Settings(batch=512, spikes=60000))
    for keys, name in (
        ({"TRAIN_TAU": True, "NUM_HIDDEN": 1024}, "tape_V of population hidden"),
        ({"LOSS_TYPE": "avg_xentropy"}, "potential of population output"),
    ):
        batch = 2**31 // (1400 * (1024 if "TRAIN_TAU" in keys else 20)) + 1
        with pytest.raises(ConfigError, match=f"table {name} would have .* a smaller N_BATCH"):
            describe(program(keys), Settings(batch=batch, spikes=1))
