"""Trained networks, exported and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnrun
from snnrun.cli import main
from snnrun.record.reader import Run

nir = pytest.importorskip("nir", reason="needs the package nir: pip install '.[nir]'")

SMALL = {
    "dataset": "yinyang",
    "N_TRAIN": 320,
    "N_VALIDATE": 96,
    "N_TEST": 96,
    "N_EPOCH": 2,
    "MODEL_SEED": 1,
}
FAST = {"backend": "numpy", "N_TRAIN": 32, "N_VALIDATE": 0, "N_EPOCH": 1, "DT_MS": 1.0}
OF_WEIGHTS = {"INPUT_HIDDEN_MEAN": 1.5, "INPUT_HIDDEN_STD": 0.8, "HIDDEN_OUTPUT_MEAN": 0.5}
PLAIN = {"preset": "none", "LOSS_TYPE": "max"}
RECURRENT = [
    {"size": 20, "recurrent": {"std": 0.3}, "forward": {"mean": 1.5, "std": 0.8}},
    {"size": 15, "forward": {"mean": 1.0, "std": 0.5}},
]
CONVOLUTION = [
    {
        "name": "kernels",
        "forward": {
            "mean": 6.0,
            "std": 0.8,
            "connectivity": {"kind": "conv1d", "kernel": 3, "channels": 4, "padding": 1},
        },
    },
    {
        "size": 12,
        "forward": {"mean": 2.0, "std": 0.4, "connectivity": {"kind": "sparse", "fan_in": 9}},
    },
    {"name": "output", "forward": {"mean": 0.3, "std": 0.3}},
]
GRAPH = {
    "network.populations": [{"name": "fast", "size": 20}, {"name": "slow", "size": 15}],
    "network.projections": [
        {
            "from": "input",
            "to": "fast",
            "mean": 1.5,
            "std": 0.8,
            "delay": {"start": {"uniform": [0, 10]}, "max": 15, "train": True},
        },
        {"from": "fast", "to": "slow", "mean": 1.5, "std": 0.5},
        {"from": "slow", "to": "fast", "sign": -1, "mean": 0.1, "std": 0.1, "delay": 2.5},
        {"from": "fast", "to": "output", "mean": 0.3, "std": 0.3},
        {
            "from": "slow",
            "to": "output",
            "mean": 0.3,
            "std": 0.3,
            "delay": {"kind": "dendritic", "start": [1.0, 2.0, 3.5]},
        },
    ],
}


def exported(run: Run, to: str, *words: str) -> Path:
    """Return the file to which a run was exported."""
    assert main(["export", str(run.paths.root), "--to", to, *words]) == 0
    return run.paths.exported.with_suffix({"torch": ".pt"}.get(to, f".{to}"))


def last_test(run: Run) -> dict[str, float]:
    found = next(test for test in run.tests if test.weights.kind == "last")
    of_results = ("loss", "accuracy", "spikes_per_neuron/", "silent_neurons/")
    return {n: v for n, v in found.figures.items() if n.startswith(of_results)}


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({"NUM_HIDDEN": 30, **OF_WEIGHTS}, {**FAST, **PLAIN}),
        pytest.param({"NUM_HIDDEN": 30}, {}, marks=pytest.mark.long),
        pytest.param(
            {"NUM_HIDDEN": 20, "HIDDEN_NEURON_TYPE": "hetLIF", "TRAIN_TAU": True},
            {},
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"network.layers": RECURRENT, "TAU_REF": 2.0, "HIDDEN_OUTPUT_MEAN": 0.3},
            {**PLAIN},
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"NUM_HIDDEN": 20, **OF_WEIGHTS},
            {**PLAIN, "rule": "surrogate", "LOSS_TYPE": "sum"},
            marks=pytest.mark.long,
        ),
        pytest.param({**GRAPH}, {**PLAIN, "DT_MS": 0.5}, marks=pytest.mark.long),
        pytest.param({"network.layers": CONVOLUTION}, {**PLAIN}, marks=pytest.mark.long),
    ],
    ids=["numpy", "preset", "time constants", "recurrent", "surrogate", "graph", "kernels"],
)
def test_a_network_is_read_back_bit_for_bit(
    keys: dict[str, Any], kept: dict[str, Any], tmp_path: Path
) -> None:
    run = snnrun.train({**SMALL, **kept, **keys}, tmp_path / "run", progress=False)
    again = {"network": "nir", "network.file": str(exported(run, "nir")), "N_EPOCH": 0}
    other = snnrun.train({**SMALL, **kept, **again}, tmp_path / "again", progress=False)
    assert last_test(other) == last_test(run)
    spiking = [v for n, v in last_test(run).items() if n.startswith("spikes_per_neuron/")]
    assert min(spiking) > 0


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of a network as it starts."""
    keys = {**SMALL, "N_EPOCH": 0, "NUM_HIDDEN": 30, "backend": "numpy", "N_TEST": 0}
    return snnrun.train(keys, tmp_path_factory.mktemp("untrained") / "run", progress=False)


def test_what_nir_has_no_word_for_is_refused_by_name_and_npz_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {**SMALL, **PLAIN, "N_EPOCH": 0, "NUM_HIDDEN": 20, "HIDDEN_NEURON_TYPE": "ALIF"}
    run = snnrun.train({**keys, "backend": "numpy", "N_TEST": 0}, tmp_path / "run", progress=False)
    assert main(["export", str(tmp_path / "run"), "--to", "nir"]) == 2
    assert "population hidden: NIR has no counterpart for neuron alif" in capsys.readouterr().err
    with np.load(exported(run, "npz")) as arrays:
        assert arrays["weights.in_to_hid"].shape == (5, 20)
        assert arrays["parameters.hidden.tau_b"] == run.config["TAU_B"]
        told = json.loads(str(arrays["network"]))
    assert [p["name"] for p in told["populations"]] == ["input", "hidden", "output"]
    assert told["projections"][0]["from"] == "input"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--to is missing: give one of nir, npz, torch"),
        (["--to", "onnx"], "--to onnx: give one of nir, npz, torch"),
        (["--to", "nir", "--output", "net.h5"], "--output net.h5: must end in .nir"),
        (["--too", "nir"], "--too: there is no such option. Did you mean '--to'?"),
    ],
)
def test_a_wrong_export_is_refused_in_words(
    words: list[str], told: str, untrained: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(untrained.paths.root), *words]) == 2
    assert told in capsys.readouterr().err


def test_the_current_of_this_project_is_that_of_nir_by_its_gain(untrained: Run) -> None:
    node = nir.read(exported(untrained, "nir")).nodes["hidden"]
    tau_syn, dt = node.tau_syn[0], untrained.config["DT_MS"] / 1000
    assert node.r[0] * node.w_in[0] * dt / tau_syn == pytest.approx(1)
    assert node.r[0] == pytest.approx(node.tau_mem[0] / dt)  # as snnTorch wants it


@pytest.mark.peers
def test_pytorch_reads_the_same_arrays(untrained: Run) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    tensors = torch.load(exported(untrained, "torch"), weights_only=True)
    with np.load(exported(untrained, "npz")) as arrays:
        for name in set(arrays.files) - {"network"}:
            assert np.array_equal(tensors[name].numpy(), arrays[name])
        assert tensors["network"] == str(arrays["network"])
