"""What a run records is what happened in it, and recording changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import reference
from long import long_but
from oracle import Layer, Problem
from oracle_loss import Loss
from runs import comparable, end, numbers, overrides, small, start, write_shd

from snnrun.config import Config, from_dict
from snnrun.datasets import load as load_data
from snnrun.errors import ConfigError
from snnrun.network.build import initial_weights
from snnrun.record import Run, load_run
from snnrun.record.paths import RunPaths
from snnrun.run import build_program, train
from snnrun.training import checkpoint

DT = 0.2
TRAIN, VALIDATION = 7, 3  # mini-batches of an epoch of ``small``
AT = [[0, 0], [0, 6], [1, 2], [1, 7], [-1, 9]]
KEYS: Mapping[str, Any] = {
    "RECURRENT": True,
    "PDROP_INPUT": 0.2,
    "REC_SPIKES": ["input", "hidden", "output"],
    "REC_SPIKES_EPOCH_TRIAL": AT,
    "REC_NEURONS": [["hidden", "V"], ["hidden", "I"], ["output", "V"]],
    "REC_NEURONS_EPOCH_TRIAL": AT,
    "W_OUTPUT_EPOCH_TRIAL": AT,
    # to be held against the reference
    "backend": {"precision": "float64", "contraction": False},
}
CURSORS = [(0, 0), (0, 6), (1, 2), (1, 7), (2, 9)]


@pytest.fixture(scope="module")
def config() -> Config:
    return small(**KEYS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, config: Config) -> Run:
    folder = tmp_path_factory.mktemp("recorded")
    train(config, folder)
    return load_run(folder)


@pytest.mark.long
def test_everything_is_recorded_where_it_was_asked_for(run: Run) -> None:
    assert run.recorded() == dict.fromkeys(("spikes", "variables", "weights"), CURSORS)
    with h5py.File(RunPaths(run.paths.root).index("spikes")) as file:
        assert len(file) == len(CURSORS)
        assert file["e00001_t000002/hidden/times_ms"].attrs["unit"] == "ms"
        assert file["e00001_t000002"].attrs["phase"] == "train"
        assert file["e00001_t000007"].attrs["phase"] == "validation"


def problem_of(run: Run, config: Config, cursor: tuple[int, int]) -> Problem:
    """Return what the network met in a mini-batch, from nothing but the records."""

    def layer(name: str, feedforward: str, recurrent: str) -> Layer:
        size = run.spikes(*cursor, name).n_neurons
        values = {"tau_mem": 20.0, "tau_syn": 5.0, "v_thresh": 1.0, "v_reset": 0.0}
        return Layer(
            name=name,
            model="lif",
            feedforward=feedforward,
            recurrent=recurrent,
            parameters={key: np.full(size, value) for key, value in values.items()},
        )

    inputs = run.spikes(*cursor, "input")
    assert inputs.labels is not None
    examples = []
    for k in range(len(inputs)):
        times, channels = inputs.example(k)
        events = zip(np.round(times / DT) * DT, channels.tolist(), strict=True)
        examples.append(tuple(events))
    return Problem(
        layers=(layer("hidden", "in_to_hid", "hid_to_hid"), layer("output", "hid_to_out", "")),
        weights=run.weights(*cursor),
        examples=tuple(examples),
        labels=tuple(inputs.labels.tolist()),
        loss=Loss(
            name=config.LOSS_TYPE, tau_0=config.TAU_0, tau_1=config.TAU_1, alpha=config.ALPHA
        ),
        duration=config.TRIAL_MS,
    )


@pytest.mark.parametrize("cursor", CURSORS)
def test_recorded_input_and_weights_give_the_recorded_spikes_variables_and_loss(
    run: Run, config: Config, cursor: tuple[int, int]
) -> None:
    problem = problem_of(run, config, cursor)
    traces = {
        (name, variable): run.variables(*cursor, name, variable)
        for name, variable in (("hidden", "V"), ("hidden", "I"), ("output", "V"))
    }
    losses, predictions, count = [], [], 0
    for k in range(len(problem.examples)):
        result = reference.gradient(problem, DT, k)
        losses.append(result.loss)
        predictions.append(result.prediction)
        count += result.counts[0].sum()
        for name, tape in zip(("hidden", "output"), result.tapes, strict=True):
            steps, neurons = np.nonzero(tape.spikes)
            times, ids = run.spikes(*cursor, name).example(k)
            np.testing.assert_array_equal(ids, neurons)
            np.testing.assert_allclose(times, (steps + 1) * DT, rtol=1e-6)
            for row, variable in enumerate("VI"):
                if (name, variable) in traces:
                    found = traces[name, variable][k]
                    np.testing.assert_allclose(found, tape.stepped[:, row], atol=1e-6)
    recorded = run.spikes(*cursor, "output").predictions
    np.testing.assert_array_equal(recorded, predictions)
    epoch, trial = cursor
    row = (run.trials["epoch"] == epoch) & (run.trials["trial"] == trial)
    assert run.trials["loss"][row] == pytest.approx(np.mean(losses), rel=1e-9)
    assert run.trials["hidden_spikes/hidden"][row] == count


@pytest.mark.parametrize("cursor", CURSORS)
def test_potentials_reach_the_threshold_exactly_where_spikes_are(
    run: Run, cursor: tuple[int, int]
) -> None:
    spikes, V = run.spikes(*cursor, "hidden"), run.variables(*cursor, "hidden", "V")
    assert len(spikes.ids) > 0
    np.testing.assert_array_equal(run.variable_examples(*cursor), spikes.examples)
    for k in range(len(spikes)):
        times, ids = spikes.example(k)
        fired = np.zeros(V.shape[1:], bool)
        fired[np.round(times / DT).astype(int) - 1, ids] = True
        np.testing.assert_array_equal(V[k] >= 1.0, fired)


def test_the_first_weights_are_the_initial_ones_and_later_ones_those_of_that_moment(
    run: Run, config: Config, tmp_path: Path
) -> None:
    network = build_program(config, load_data(config)).network
    wanted = initial_weights(network, config.MODEL_SEED)
    for name, weights in run.weights(0, 0).items():
        np.testing.assert_array_equal(weights, wanted[name])
    # a validation batch of epoch 1 has the weights with which that epoch's training ended
    train(small(**KEYS, N_EPOCH=2), tmp_path)
    tensors = checkpoint.load(RunPaths(tmp_path).last)["tensors"]
    for name, weights in run.weights(1, 7).items():
        np.testing.assert_array_equal(weights, tensors[name]["value"])


@pytest.mark.parametrize("steps", long_but([1, 40, 150], [40]))
def test_the_spike_buffer_changes_no_record(run: Run, tmp_path: Path, steps: int) -> None:
    train(small(**KEYS, SPK_REC_STEPS=steps), tmp_path)
    found, wanted = (dict(numbers(comparable(f))) for f in (tmp_path, run.paths.root))
    assert found == wanted


def test_recording_changes_no_bit_of_the_training(run: Run, tmp_path: Path) -> None:
    kept = {key: KEYS[key] for key in ("RECURRENT", "PDROP_INPUT", "backend")}
    train(small(**kept), tmp_path)
    with_records = dict(numbers(comparable(run.paths.root)))
    without = dict(numbers(comparable(tmp_path)))
    assert without
    assert {key: with_records[key] for key in without} == without
    one, two = (
        dict(numbers(checkpoint.load(RunPaths(f).last))) for f in (tmp_path, run.paths.root)
    )
    assert one == two


# dropout


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Run]:
    """A run on events enough to count: 16 examples of about 200."""
    top = tmp_path_factory.mktemp("dropped")
    data = write_shd(top / "shd")
    config = from_dict(
        {
            "dataset": {"name": "shd", "path": str(data)},
            "TRIAL_MS": 100.0,
            "NUM_HIDDEN": 8,
            "N_TRAIN": 16,
            "N_VALIDATE": 4,
            "N_TEST": 0,
            "N_BATCH": 8,
            "N_EPOCH": 2,
            "PDROP_INPUT": 0.3,
            "MODEL_SEED": 1,
            "REC_SPIKES": ["input"],
        }
    )
    train(config, top / "run")
    return config, load_run(top / "run")


@pytest.mark.long
def test_without_pairs_every_mini_batch_is_recorded(dropped: tuple[Config, Run]) -> None:
    assert dropped[1].recorded()["spikes"] == list(product((0, 1), (0, 1, 2)))


def test_input_spikes_are_dropped_at_their_rate_in_training_only(
    dropped: tuple[Config, Run],
) -> None:
    config, run = dropped
    data = load_data(config).train.data
    kept, shown = 0, 0
    for epoch, trial in product((0, 1), (0, 1, 2)):
        record = run.spikes(epoch, trial, "input")
        for k, example in enumerate(record.examples):
            times, channels = record.example(k)
            steps, all_channels = data.events(int(example))
            events = set(zip(steps.tolist(), all_channels.tolist(), strict=True))
            found = list(zip(times.astype(int).tolist(), channels.tolist(), strict=True))
            assert found == sorted(found)
            assert set(found) <= events
            assert len(found) == len(events) or trial < 2
            if trial < 2:
                kept, shown = kept + len(found), shown + len(events)
    deviation = np.sqrt(0.3 * 0.7 / shown)
    assert kept / shown == pytest.approx(0.7, abs=4 * deviation)
    assert deviation < 0.01


def test_each_epoch_and_example_drops_other_spikes(dropped: tuple[Config, Run]) -> None:
    _, run = dropped
    seen: dict[int, list[set]] = {}
    for epoch, trial in product((0, 1), (0, 1)):
        record = run.spikes(epoch, trial, "input")
        for k, example in enumerate(record.examples):
            seen.setdefault(int(example), []).append(
                set(zip(*(a.tolist() for a in record.example(k)), strict=True))
            )
    assert all(len(masks) == 2 and masks[0] != masks[1] for masks in seen.values())


# the other records


def test_weights_are_written_at_intervals(tmp_path: Path) -> None:
    train(small(W_REPORT_INTERVAL=4, W_EPOCH_INTERVAL=2, W_OUTPUT_EPOCH_TRIAL=[[1, 3]]), tmp_path)
    run = load_run(tmp_path)
    assert run.recorded()["weights"] == [(0, 0), (0, 4), (0, 8), (1, 3), (2, 0), (2, 4), (2, 8)]
    assert run.weights(0, 4).keys() == {"in_to_hid", "hid_to_out"}


def test_synapses_are_recorded_alone_and_trained_time_constants_with_the_weights(
    tmp_path: Path,
) -> None:
    config = small(
        REC_SYNAPSES=[["hid_to_out", "g"]],
        REC_SYNAPSES_EPOCH_TRIAL=[[0, 1]],
        W_OUTPUT_EPOCH_TRIAL=[[1, 0]],
        TRAIN_TAU=True,
    )
    train(config, tmp_path)
    run = load_run(tmp_path)
    assert run.recorded()["weights"] == [(0, 1), (1, 0)]
    assert run.weights(0, 1).keys() == {"hid_to_out"}
    assert run.parameters(0, 1) == {}
    taus = run.parameters(1, 0)
    assert taus.keys() == {"hidden/tau_mem", "hidden/tau_syn"}
    assert taus["hidden/tau_mem"].shape == (30,)
    assert np.ptp(taus["hidden/tau_mem"]) > 0
    with h5py.File(RunPaths(tmp_path).part("weights", 1, 0)) as file:
        assert file["parameters/hidden/tau_mem"].attrs["unit"] == "ms"


@pytest.mark.long
def test_time_constants_are_written_without_the_weights_as_they_are_then(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"TRAIN_TAU": True, "OUTPUT_NEURON_TYPE": "hetLI", "LOSS_TYPE": "sum"}
    pairs = [[0, 0], [1, 2], [-1, 9]]
    train(
        small(**keys, TAU_OUTPUT_EPOCH_TRIAL=pairs, W_OUTPUT_EPOCH_TRIAL=[[1, 2]]), tmp_path / "a"
    )
    run = load_run(tmp_path / "a")
    assert run.recorded()["weights"] == [(0, 0), (1, 2), (2, 9)]
    assert run.weights(0, 0) == run.weights(2, 9) == {}
    assert run.weights(1, 2).keys() == {"in_to_hid", "hid_to_out"}
    names = [
        f"{population}/{tau}"
        for population in ("hidden", "output")
        for tau in ("tau_mem", "tau_syn")
    ]
    first, later, last = (run.parameters(*cursor) for cursor in run.recorded()["weights"])
    assert sorted(first) == sorted(later) == sorted(last) == names
    np.testing.assert_array_equal(first["hidden/tau_mem"], 20.0)  # what training starts from
    assert np.ptp(later["hidden/tau_mem"]) > 0
    saved = checkpoint.load(RunPaths(tmp_path / "a").last)["tensors"]  # the last is a validation
    np.testing.assert_array_equal(saved["hidden_parameters"]["value"][0], last["hidden/tau_mem"])
    np.testing.assert_array_equal(first["output/tau_mem"], last["output/tau_mem"])  # drawn only
    assert first["output/tau_mem"].shape == (3,)
    assert np.ptp(first["output/tau_mem"]) > 0


def test_time_constants_alone_and_no_other_parameter_are_written(tmp_path: Path) -> None:
    own = {"v_thresh": [1.0, 1.1] * 15, "tau_mem": [10.0, 30.0] * 15}
    pairs: dict[str, Any] = {"TAU_OUTPUT_EPOCH_TRIAL": [[0, 0]], "N_EPOCH": 1}
    train(small(network={"hidden_parameters": own}, **pairs), tmp_path)
    [(name, values)] = load_run(tmp_path).parameters(0, 0).items()
    assert name == "hidden/tau_mem"
    np.testing.assert_array_equal(values, own["tau_mem"])
    del own["tau_mem"]
    with pytest.raises(ConfigError, match="no time constant differs from neuron to neuron"):
        train(small(network={"hidden_parameters": own}, **pairs), tmp_path / "refused")


@pytest.mark.long
def test_the_adaptation_of_the_threshold_is_recorded(tmp_path: Path) -> None:
    config = small(
        HIDDEN_NEURON_TYPE="ALIF",
        N_EPOCH=1,
        REC_NEURONS=[["hidden", "V"], ["hidden", "B"]],
        REC_NEURONS_EPOCH_TRIAL=[[0, 0]],
        REC_SPIKES=["hidden"],
        REC_SPIKES_EPOCH_TRIAL=[[0, 0]],
        backend={"precision": "float32"},
    )
    train(config, tmp_path)
    run = load_run(tmp_path)
    V, B = (run.variables(0, 0, "hidden", name) for name in "VB")
    assert B.max() > 0.05
    assert (V >= 1.0 + B).sum() == len(run.spikes(0, 0, "hidden").ids) > 0


@pytest.mark.long
def test_records_can_be_read_while_a_run_goes_on_and_after_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    keys = {"dataset": "yinyang", "NUM_HIDDEN": 30, "DT_MS": 0.2, "N_TRAIN": 2000, "N_BATCH": 20}
    keys |= {"N_EPOCH": 1000, "REC_SPIKES": "[hidden]", "REC_PREDICTIONS": True}
    process = start("train", *overrides(keys), f"hydra.run.dir={folder}")
    limit, seen = time.monotonic() + 60, 0
    while seen < 60:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        if not RunPaths(folder).run.exists():
            time.sleep(0.02)
            continue
        run = load_run(folder)
        assert run.running
        recorded = run.recorded()["spikes"]
        for cursor in recorded[seen:][-3:]:
            assert run.spikes(*cursor, "hidden").n_neurons == 30
        seen = len(recorded)
    process.kill()
    end(process)
    run = load_run(folder)
    assert not run.running
    assert run.finished == ""
    for cursor in run.recorded()["spikes"]:
        assert len(run.spikes(*cursor, "hidden")) == 20
    with h5py.File(RunPaths(folder).index("spikes")) as file:
        assert all(len(file[name]["hidden"]) > 0 for name in file)
