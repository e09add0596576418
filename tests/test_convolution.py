"""Convolutions and pooling against sliding windows of NumPy, in currents and in gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from pictures import KEYS, SHAPE, configured
from runs import TABLE, assert_same_run

import snnrun
from snnrun.backends.base import NO_NOISE
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import Program
from snnrun.connectivity import Ends, read
from snnrun.connectivity.synapses import Synapses, connect, shape_of_target, weight_of_all
from snnrun.datasets import load
from snnrun.errors import ModelError
from snnrun.network.build import initial_weights
from snnrun.network.delays import DelayKind, Delays
from snnrun.plots.records import Records
from snnrun.plots.saved import write_all
from snnrun.record.reader import load_run
from snnrun.run import build_program, train
from snnrun.training.checkpoint import load as load_checkpoint

NEAR = 1e-10


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The windows of a kernel over a source, as NumPy slides them."""

    source: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str

    def of(self, x: np.ndarray) -> np.ndarray:
        """Return [*places, channels, *kernel] of a source [*places, channels]."""
        pads = []
        for axis, (n, k, s) in enumerate(zip(x.shape[:-1], self.kernel, self.stride, strict=True)):
            if self.padding == "same":
                total = max(0, (-(-n // s) - 1) * s + k - n)
                pads.append((total // 2, total - total // 2))
            else:
                pads.append((int(self.padding[axis]),) * 2)
        axes = tuple(range(x.ndim - 1))
        padded = np.pad(x, [*pads, (0, 0)])
        whole = sliding_window_view(padded, self.kernel, axis=axes)
        return whole[tuple(slice(None, None, s) for s in self.stride)]

    def currents(self, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """Return the convolution of a source."""
        found = self.of(x)
        return np.tensordot(found, np.moveaxis(kernel, -2, 0), axes=kernel.ndim - 1)

    def gradient(self, x: np.ndarray, back: np.ndarray) -> np.ndarray:
        """Return the gradient by the kernel of the sum of currents times ``back``."""
        axes = list(range(x.ndim - 1))
        found = np.tensordot(self.of(x), back, axes=(axes, axes))  # [c_in, *kernel, c_out]
        return np.moveaxis(found, 0, -2)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[dict[str, Any], Windows, int]:
    count = draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(count))
    source = tuple(draw(st.integers(k, 7)) for k in kernel)
    stride = tuple(draw(st.integers(1, 3)) for _ in range(count))
    padding = draw(st.one_of(st.just("same"), st.tuples(*(st.integers(0, k - 1) for k in kernel))))
    channels = draw(st.integers(1, 3))
    value = {
        "kind": f"conv{count}d",
        "kernel": list(kernel),
        "stride": list(stride),
        "padding": padding if padding == "same" else list(padding),
        "channels": draw(st.integers(1, 3)),
    }
    windows = Windows(source=(*source, channels), kernel=kernel, stride=stride, padding=padding)
    return value, windows, value["channels"]


def listed(value: Any, source: tuple[int, ...], **more: Any) -> tuple[Synapses, tuple[int, ...]]:
    """Return the synapses of a kind that gives its target a shape, and that shape."""
    ends = Ends(pre=int(np.prod(source)), post=0, source=source, **more)
    shape = shape_of_target(read(value, "key"), ends, "here")
    ends = replace(ends, post=int(np.prod(shape)))
    synapses = connect(read(value, "key"), ends, np.random.default_rng(1), "here")
    assert synapses is not None
    return synapses, shape


@settings(max_examples=80, deadline=None)
@given(case=convolutions(), seed=st.integers(0, 99))
def test_currents_and_gradients_are_those_of_sliding_windows(
    case: tuple[dict[str, Any], Windows, int], seed: int
) -> None:
    value, windows, outs = case
    random = np.random.default_rng(seed)
    synapses, shape = listed(value, windows.source)
    kernel = random.normal(size=(*windows.kernel, windows.source[-1], outs))
    assert synapses.weights == kernel.shape
    x = random.integers(0, 3, windows.source).astype(float)
    wanted = windows.currents(x, kernel)
    assert shape == wanted.shape
    np.testing.assert_allclose(x.ravel() @ synapses.matrix(kernel), wanted.ravel(), atol=NEAR)
    back = random.normal(size=shape)
    found = synapses.gathered(np.outer(x.ravel(), back.ravel()))
    np.testing.assert_allclose(found, windows.gradient(x, back), atol=NEAR)


@settings(max_examples=40, deadline=None)
@given(case=convolutions())
def test_a_spike_adds_runs_of_weights_to_runs_of_neurons(
    case: tuple[dict[str, Any], Windows, int],
) -> None:
    value, windows, outs = case
    synapses, _ = listed(value, windows.source)
    order = np.lexsort((synapses.post, synapses.pre))
    np.testing.assert_array_equal(order, np.arange(len(order)))
    for ends in (synapses.post, synapses.place):
        runs = ends.reshape(-1, outs)
        np.testing.assert_array_equal(
            runs - runs[:, :1], np.broadcast_to(np.arange(outs), runs.shape)
        )
    assert not (synapses.pre.reshape(-1, outs) != synapses.pre[::outs, None]).any()


@pytest.mark.parametrize("kind", ["sum_pool", "mean_pool"])
@pytest.mark.parametrize(("kernel", "stride"), [(2, None), ([3, 2], [1, 2]), (1, 3)])
def test_pooling_adds_or_averages_windows_of_each_channel(
    kind: str, kernel: Any, stride: Any
) -> None:
    value = {"kind": kind, "kernel": kernel, "stride": stride, "scale": 0.5}
    source = (6, 5, 3)
    synapses, shape = listed(value, source)
    sides = tuple(np.broadcast_to(kernel, 2).tolist())
    steps = sides if stride is None else tuple(np.broadcast_to(stride, 2).tolist())
    x = np.random.default_rng(2).integers(0, 4, source).astype(float)
    found = Windows(source=source, kernel=sides, stride=steps, padding=(0, 0)).of(x)
    wanted = 0.5 * (found.sum(axis=(-2, -1)) if kind == "sum_pool" else found.mean(axis=(-2, -1)))
    ends = Ends(pre=x.size, post=0, source=source)
    weight = weight_of_all(read(value, "key"), ends, "here")
    assert weight is not None
    assert synapses.weights == (1,)
    assert shape == wanted.shape
    np.testing.assert_allclose(
        x.ravel() @ synapses.matrix(np.array([weight])), wanted.ravel(), atol=NEAR
    )


# Networks

CONV = {"kind": "conv2d", "kernel": 3, "padding": 1, "channels": 4}
LAYERS: list[dict[str, Any]] = [
    {
        "name": "features",
        "forward": {"mean": 0.5, "std": 0.5, "connectivity": CONV},
        "recurrent": {
            "mean": 0.0,
            "std": 0.3,
            "connectivity": {"kind": "conv2d", "kernel": 3, "padding": "same"},
        },
    },
    {"name": "pooled", "forward": {"connectivity": {"kind": "sum_pool", "scale": 2.0}}},
    {"name": "output", "forward": {"mean": 0.1, "std": 0.5}},
]
RULES: dict[str, dict[str, Any]] = {"eventprop": {}, "surrogate": {"rule": "surrogate"}}


def unshared(program: Program) -> Program:
    """Return the same program with a weight for each pair of neurons."""
    layers = tuple(
        replace(x, projections=tuple(replace(p, synapses=None) for p in x.projections))
        for x in program.network.layers
    )
    return replace(program, network=replace(program.network, layers=layers))


def with_delays(program: Program, kind: DelayKind) -> Program:
    """Return the same program with learned delays of its first projection."""
    first, *others = program.network.layers
    forward, *rest = first.projections
    shape = kind.shape(program.network.input.size, first.population.size)
    start = np.random.default_rng(4).uniform(0, 3, shape)
    delayed = replace(forward, delays=Delays(kind=kind, start=start, most=5.0, trained=True))
    layers = (replace(first, projections=(delayed, *rest)), *others)
    return replace(program, network=replace(program.network, layers=layers))


@pytest.mark.parametrize("delays", [None, DelayKind.AXONAL, DelayKind.DENDRITIC])
@pytest.mark.parametrize("rule", RULES)
def test_gradients_of_a_network_are_those_of_its_unshared_weights_added(
    rule: str, delays: DelayKind | None
) -> None:
    config = configured(LAYERS, **RULES[rule])
    splits = load(config)
    program = build_program(config, splits)
    program = program if delays is None else with_delays(program, delays)
    shared, full = NumpyBackend(program), NumpyBackend(unshared(program))
    for name, value in initial_weights(program.network, config.MODEL_SEED).items():
        projection = next(p for p in program.network.projections if p.name == name)
        shared.set(name, value)
        full.set(name, value if projection.synapses is None else projection.synapses.matrix(value))
    data, examples = splits.train.data, np.arange(8)
    results = [backend.gradient(data, examples, NO_NOISE) for backend in (shared, full)]
    np.testing.assert_array_equal(results[0].layer_spikes, results[1].layer_spikes)
    assert (results[0].layer_spikes.sum(axis=0)[:2] > 0).all()
    np.testing.assert_allclose(results[0].loss, results[1].loss, rtol=1e-12)
    sizes = {p.name: p.grid for p in program.network.populations}
    for projection in program.network.projections:
        found = shared.get(projection.name, "gradient")
        wanted = full.get(projection.name, "gradient")
        if projection.synapses is not None:
            pairs = wanted.reshape(*sizes[projection.source], *sizes[projection.target])
            wanted = added(pairs) if len(found.shape) == 4 else found * 0 + pooled(pairs)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=NEAR * np.abs(wanted).max())
        assert np.abs(found).max() > 0
    if delays is not None:
        name = f"{program.network.projections[0].name}_delays"
        found, wanted = (backend.get(name, "gradient") for backend in (shared, full))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=NEAR * np.abs(wanted).max())
        assert np.abs(found).max() > 0


def added(pairs: np.ndarray) -> np.ndarray:
    """Add gradients [y, x, c_in, Y, X, c_out] over all places of a 3 x 3 kernel, padded by 1."""
    rows, columns, ins, *_, outs = pairs.shape
    total = np.zeros((3, 3, ins, outs))
    for dy in range(3):
        for dx in range(3):
            for y in range(rows):
                for x in range(columns):
                    if 0 <= y + dy - 1 < rows and 0 <= x + dx - 1 < columns:
                        total[dy, dx] += pairs[y + dy - 1, x + dx - 1, :, y, x]
    return total


def pooled(pairs: np.ndarray) -> float:
    """Add gradients [y, x, c, Y, X, c] over windows of 2 x 2."""
    *_, rows, columns, channels = pairs.shape
    return sum(
        float(pairs[2 * y : 2 * y + 2, 2 * x : 2 * x + 2, c, y, x, c].sum())
        for y in range(rows)
        for x in range(columns)
        for c in range(channels)
    )


def test_shapes_follow_from_the_inputs_and_fixed_weights_stay() -> None:
    config = configured(LAYERS)
    program = build_program(config, load(config))
    grids = {p.name: p.grid for p in program.network.populations}
    assert grids == {"input": SHAPE, "features": (6, 5, 4), "pooled": (3, 2, 4), "output": ()}
    assert [p.size for p in program.network.populations] == [60, 120, 24, 3]
    pool = program.network.layers[1].forward
    assert (pool.trained, pool.mean, pool.std, pool.rule) == (False, 2.0, 0.0, "frozen")
    [forward, recurrent, *_] = program.tensors
    assert (forward.shape, recurrent.shape) == ((3, 3, 2, 4), (3, 3, 4, 4))
    assert program.trained_values == 72 + 144 + 24 * 3
    text = program.describe()
    for line in (
        "input: 60 channels in shape [6, 5, 2]",
        "population features: 120 x lif in shape [6, 5, 4]",
        ", trained, conv2d (kernel 3, padding 1, channels 4) of 1,664 synapses that share 72 we",
        ", fixed, sum_pool (kernel 2, scale 2.0) of 96 synapses that share 1 weight\n",
    ):
        assert line in text


@pytest.mark.usefixtures("places")
def test_a_run_keeps_kernels_in_their_shape_everywhere(tmp_path: Path) -> None:
    keys = {**TABLE, **KEYS, "network.layers": LAYERS, "W_OUTPUT_EPOCH_TRIAL": [[0, 2]]}
    run = snnrun.train(keys, tmp_path / "run", progress=False)
    assert run.weights(0, 2)["in_to_hid0"].shape == (3, 3, 2, 4)
    saved = load_checkpoint(run.paths.last)["tensors"]
    assert saved["in_to_hid0"]["first"].shape == (3, 3, 2, 4)
    np.testing.assert_array_equal(saved["hid_to_hidfwd0"]["value"], [2.0])
    whole = snnrun.evaluate(run, spikes=["input"])
    pairs = [whole.spikes["input"].example(k) for k in range(10)]
    found = snnrun.evaluate(run, [(times + 0.5, channels) for times, channels in pairs])
    np.testing.assert_array_equal(found.predictions, whole.predictions)
    part = snnrun.train({**keys, "N_EPOCH": 1}, tmp_path / "parts", progress=False)
    snnrun.resume(part, {"N_EPOCH": 2}, progress=False)
    assert_same_run(run.paths.root, part.paths.root)


def test_kernels_are_drawn_side_by_side(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from snnrun.plots.learned import kernels

    weights = np.arange(3 * 2 * 2 * 4, dtype=float).reshape(3, 2, 2, 4)
    sheet = np.ma.filled(
        kernels({"k": weights}, "k").figure().axes[0].images[0].get_array(), np.nan
    )
    assert sheet.shape == (2 * 4 - 1, 4 * 3 - 1)
    np.testing.assert_array_equal(sheet[4:7, 3:5], weights[:, :, 1, 1])
    assert np.isnan(sheet[3]).all()
    train(configured(LAYERS, N_EPOCH=1), tmp_path / "run")
    [file] = write_all(Records(load_run(tmp_path / "run")), ["kernels"])
    assert file.read_bytes()[:4] == b"\x89PNG"


def test_delays_of_each_synapse_are_refused_where_weights_are_shared() -> None:
    config = configured(LAYERS)
    program = build_program(config, load(config))
    with pytest.raises(ModelError, match=r"in_to_hid0: its synapses share weights, .* axonal"):
        with_delays(program, DelayKind.SYNAPTIC)


def layer(connectivity: Any, **fields: Any) -> list[dict[str, Any]]:
    return [{"forward": {"connectivity": connectivity}, **fields}]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            layer({**CONV, "kernel": [9, 3]}),
            r"kernel=\[9, 3\] is larger than its source of shape \[6, 5, 2\] with padding 1",
        ),
        (layer({**CONV, "kernel": [3]}), r"kernel=\[3\]: a source of shape .* has 2 axes"),
        (layer({"kind": "conv2d"}), "how many channels the target has is not known"),
        (layer({"kind": "conv1d"}), r"must have a shape \[length, channels\], but .* \[6, 5, 2\]"),
        (layer(CONV, size=7), r"makes the shape \[6, 5, 4\] \(120 neurons\) of .* has 7 neurons"),
        (layer({"kind": "conv2d"}, size=7), "4 x 3 places .* of which 7 neurons are no multiple"),
        (
            layer(CONV, shape=[6, 5, 3]),
            r"makes the shape \[6, 5, 4\] .*the target has the shape \[6, 5, 3\]",
        ),
        (
            [{"size": 9}, {"forward": {"connectivity": CONV}}],
            r"forward: connectivity conv2d: its source has no shape; give",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(layers: list[dict[str, Any]], message: str) -> None:
    config = configured(layers)
    with pytest.raises(ModelError, match=message):
        build_program(config, load(config))


def test_a_shape_of_its_own_says_how_many_channels() -> None:
    config = configured(layer({"kind": "conv2d", "padding": 1}, shape=[6, 5, 3]))
    program = build_program(config, load(config))
    assert program.tensors[0].shape == (3, 3, 2, 3)
