"""Random and listed synapses, and how kinds of connectivity are named with their options."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import configured

from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.commands import keys
from snnrun.connectivity import CONNECTIVITIES, Connectivity, Ends, option, read, read_kind
from snnrun.connectivity.synapses import Synapses, connect
from snnrun.datasets import load
from snnrun.errors import ConfigError, ModelError
from snnrun.keys.kinds import INT
from snnrun.needs import parts_of
from snnrun.network.build import initial_weights
from snnrun.network.delays import DelayKind, Delays
from snnrun.run import build_program, network_of
from snnrun.training.rewire import rewire

KEY = "network.layers[0].forward.connectivity"


def listed(value: Any, ends: Ends, seed: int = 1) -> Synapses:
    found = connect(read(value, KEY), ends, np.random.default_rng(seed), "projection p")
    assert found is not None
    return found


@pytest.mark.parametrize("name", CONNECTIVITIES)
def test_each_kind_is_found_by_its_name(name: str) -> None:
    needs = {"sparse": {"fan_in": 2}, "list": {"synapses": [[0, 1]]}}
    kind = read({"kind": name, **needs.get(name, {})}, KEY)
    assert kind.name == name
    assert kind.meaning
    assert all(o.meaning.endswith(".") for o in kind.options)


@pytest.mark.parametrize("word", ["connectivity", "conv1d"])
def test_keys_tells_the_kinds_and_their_options(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.run([word])
    said = " ".join(capsys.readouterr().out.split())
    for name in CONNECTIVITIES:
        kind = read_kind(name, KEY)
        shown = word in ("connectivity", name)
        assert (f"connectivity: {name} " in said) == shown
        for o in kind.options:
            assert (f"{name}, {o.name} {o.meaning} allowed: {o.allowed()} def" in said) == shown


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.97, 1.0])
def test_pairs_are_connected_with_the_probability(probability: float) -> None:
    found = listed({"kind": "sparse", "probability": probability}, Ends(pre=300, post=200))
    count = 300 * 200
    spread = (count * probability * (1 - probability)) ** 0.5
    assert abs(len(found.pre) - count * probability) <= 4 * spread
    for ends, most in ((found.pre, 300), (found.post, 200)):
        per_neuron = np.bincount(ends, minlength=most)
        mean = len(ends) / most
        assert abs(per_neuron - mean).max() <= 5 * max(1.0, (mean * (1 - probability)) ** 0.5)
    assert (np.diff(found.pre.astype(int) * 200 + found.post) > 0).all()


@pytest.mark.parametrize("options", [{"probability": 0.2}, {"fan_in": 5}])
def test_random_pairs_follow_from_the_stream(options: dict[str, Any]) -> None:
    value, ends = {"kind": "sparse", **options}, Ends(pre=30, post=700)
    one, again, other = (listed(value, ends, seed).mask for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize("fan_in", [1, 7, 29, 30])
def test_each_target_has_exactly_its_fan_in(fan_in: int) -> None:
    found = listed({"kind": "sparse", "fan_in": fan_in}, Ends(pre=30, post=700))
    np.testing.assert_array_equal(found.mask.sum(axis=0), fan_in)
    assert (np.diff(found.pre.astype(int) * 700 + found.post) > 0).all()
    if fan_in < 30:  # all sources alike
        assert found.mask.sum(axis=1).min() > 0.4 * 700 * fan_in / 30


@pytest.mark.parametrize("options", [{"probability": 0.5}, {"fan_in": 29}])
def test_neurons_are_not_connected_with_themselves_where_that_is_left_out(
    options: dict[str, Any],
) -> None:
    value = {"kind": "sparse", **options}
    same, apart = Ends(pre=30, post=30, same=True), Ends(pre=30, post=30)
    assert not listed({**value, "self": False}, same).mask.diagonal().any()
    assert listed(value, same).mask.diagonal().any()
    assert listed({**value, "self": False}, apart).mask.diagonal().any()


PAIRS = [[2, 1], [0, 0], [0, 3], [1, 2]]


@pytest.mark.parametrize("form", ["npy", "npz", "csv", "names.csv"])
def test_pairs_come_from_files(form: str, tmp_path: Path) -> None:
    path, pairs = tmp_path / f"synapses.{form}", np.array(PAIRS)
    if form == "npy":
        np.save(path, pairs)
    elif form == "npz":
        np.savez(path, pre=pairs[:, 0], post=pairs[:, 1])
    else:
        names = "pre,post\n" if form == "names.csv" else ""
        path.write_text(names + "".join(f"{a},{b}\n" for a, b in PAIRS))
    ends = Ends(pre=3, post=4)
    found = listed({"kind": "list", "file": str(path)}, ends)
    np.testing.assert_array_equal(np.column_stack([found.pre, found.post]), sorted(PAIRS))
    np.testing.assert_array_equal(
        found.mask, listed({"kind": "list", "synapses": PAIRS}, ends).mask
    )


FILES: dict[str, tuple[Any, str]] = {
    "none.npy": (None, "there is no such file; relative paths are from the folder"),
    "pairs.txt": (b"0,1\n", "its name must end in .npy"),
    "words.csv": (b"0,1\n1,b\n", "cannot be read: could not convert string 'b'"),
    "three.csv": (b"0,1,2\n", "it must have two columns, but has 3"),
    "broken.npy": (b"\x93NUMPY", "cannot be read"),
    "flat.npy": (np.arange(4), "numbers [synapses, 2], but has the shape [4]"),
    "real.npy": (np.zeros((2, 2)), "must hold whole numbers, got float64"),
    "far.npy": (np.array([[0, 9]]), "postsynaptic neurons 9 to 9, but there are those from 0 to 3"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_used_are_refused(name: str, tmp_path: Path) -> None:
    content, message = FILES[name]
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(
        ModelError, match=f"projection p: connectivity list: .*{re.escape(message)}"
    ):
        listed({"kind": "list", "file": str(path)}, Ends(pre=3, post=4))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("sparce", "=sparce: must be one of dense, .* own. Did you mean 'sparse'?"),
        ({"kind": "conv2"}, ".kind=conv2: must be one of .* Did you mean 'conv2d'?"),
        ({"kernel": 5}, r"=\{kernel: 5\}: says no kind"),
        ({"kind": "conv2d", "kernal": 5}, ".kernal: connectivity conv2d has no such option. Did"),
        (
            {"kind": "dense", "size": 5},
            ".size: connectivity dense has no such option. It has: none",
        ),
        ({"kind": "conv2d", "kernel": 0}, ".kernel=0: must be a whole number >= 1"),
        ({"kind": "conv2d", "padding": "full"}, ".padding=full: must be .*, or same"),
        ({"kind": "sparse", "probability": 1.5}, ".probability=1.5: must be a number > 0 and <= 1"),
        ({"kind": "sparse", "fan_in": 0}, ".fan_in=0: must be a whole number >= 1"),
        ({"kind": "sparse"}, "sparse takes either probability, .*; got neither"),
        ({"kind": "sparse", "fan_in": 2, "probability": 0.5}, "sparse takes either .*; got both"),
        ({"kind": "list", "synapses": [[0]]}, r".synapses=\[\[0\]\]: must be a list of \[pre"),
        ({"kind": "list"}, "list takes either file, .*; got neither"),
    ],
)
def test_wrong_values_are_told_with_their_key(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(KEY) + ".*" + message.replace("?", "[?]")):
        read(value, KEY)
    with pytest.raises(ConfigError, match=re.escape(KEY)):
        configured([{"size": 7, "forward": {"connectivity": value}}])


def test_a_fan_in_of_more_than_there_are_is_refused() -> None:
    with pytest.raises(ModelError, match="fan_in=4, but there are 3 presynaptic neurons"):
        listed({"kind": "sparse", "fan_in": 4}, Ends(pre=3, post=4))
    value = {"kind": "sparse", "fan_in": 3, "self": False}
    with pytest.raises(ModelError, match="fan_in=3, but there are 2 other presynaptic neurons"):
        listed(value, Ends(pre=3, post=3, same=True))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mean": 2.0}, "forward.mean=2.0: has no effect, as the weights of sum_pool are fixed"),
        ({"rule": "eventprop"}, "forward.rule=eventprop: has no effect"),
    ],
)
def test_fixed_weights_take_no_start_and_no_rule(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configured([{"forward": {"connectivity": "sum_pool", **fields}}])


def test_a_size_that_is_not_that_of_the_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"size=5: shape \[2, 3, 1\] has 6 neurons; leave the si"):
        configured([{"size": 5, "shape": [2, 3, 1]}])
    with pytest.raises(ConfigError, match=r"shape=\[3\]: must be \[rows, columns, channels\] or"):
        configured([{"shape": [3]}])


@pytest.mark.parametrize("own", [{"shape": [2, 3, 1]}, {"forward": {"connectivity": "sum_pool"}}])
def test_a_size_for_all_layers_has_no_effect_where_each_has_its_own(own: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="NUM_HIDDEN=7: has no effect, as each hidden layer of"):
        configured([own], NUM_HIDDEN=7)
    configured([own, {}], NUM_HIDDEN=7)


SPARSE = [
    {
        "size": 40,
        "forward": {"mean": 0.8, "std": 0.5, "connectivity": {"kind": "sparse", "fan_in": 9}},
        "recurrent": {"std": 0.3, "connectivity": {"kind": "sparse", "probability": 0.2}},
    }
]


@pytest.mark.parametrize("delays", [None, *DelayKind])
@pytest.mark.parametrize("rule", [{}, {"rule": "surrogate"}])
def test_gradients_are_those_of_all_pairs_at_the_synapses(
    rule: dict[str, Any], delays: DelayKind | None
) -> None:
    config = configured(SPARSE, **rule)
    splits = load(config)
    program = build_program(config, splits)
    [first, last] = program.network.layers
    found = []
    for whole in (False, True):
        changed: dict[str, Any] = {"synapses": None} if whole else {}
        projections = tuple(replace(p, **changed) for p in first.projections)
        if delays is not None:
            start = np.random.default_rng(5).uniform(0, 4, delays.shape(60, 40))
            own = Delays(kind=delays, start=start, most=5.0, trained=True)
            projections = (replace(projections[0], delays=own), *projections[1:])
        network = replace(program.network, layers=(replace(first, projections=projections), last))
        backend = NumpyBackend(replace(program, network=network))
        for name, value in initial_weights(program.network, config.MODEL_SEED).items():
            backend.set(name, value)
        results = backend.gradient(splits.train.data, np.arange(8))
        assert results.layer_spikes[:, 0].sum() > 0
        found.append((results.loss, backend))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    for projection in first.projections:
        assert projection.synapses is not None
        mask = projection.synapses.mask
        one, other = (backend.get(projection.name, "gradient") for _, backend in found)
        np.testing.assert_allclose(one, np.where(mask, other, 0), atol=1e-10 * np.abs(other).max())
        assert np.abs(one).max() > 0
    if delays is not None:
        one, other = (backend.get("in_to_hid_delays", "gradient") for _, backend in found)
        np.testing.assert_allclose(one, other, atol=1e-10 * np.abs(other).max())
        assert np.abs(one).max() > 0


def documented() -> Connectivity:
    """Return the kind that the documentation makes of Ends, with options and shared weights."""
    page = (Path(__file__).parents[1] / "docs" / "networks.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[2].split("```")[0]
    names: dict[str, Any] = {"np": np, "INT": INT, "Connectivity": Connectivity}
    names |= {"option": option, "Synapses": Synapses}
    exec(code, names)
    return names["COPIES"]


COPIES = documented()


def test_a_kind_of_ones_own_sees_shapes_shares_weights_and_has_options() -> None:
    own = {"kind": "test_sparse.COPIES", "times": 3}
    config = configured([{"forward": {"connectivity": own}}])
    program = build_program(config, load(config))
    assert program.network.layers[0].population.grid == (6, 5, 6)
    assert program.tensors[0].shape == (3,)
    wrong = configured([{"forward": {"connectivity": {**own, "times": 0}}}])
    with pytest.raises(ConfigError, match=r"connectivity.times=0: must be a whole number >= 1"):
        build_program(wrong, load(wrong))


def test_a_convolution_beside_other_projections_gives_its_target_a_shape() -> None:
    graph = {
        "network.populations": [{"name": "skip", "size": 9}, {"name": "features"}],
        "network.projections": [
            {"from": "input", "to": "skip"},
            {"from": "skip", "to": "features"},
            {"from": "input", "to": "features", "connectivity": {"kind": "conv2d", "channels": 2}},
            {"from": "features", "to": "output"},
        ],
    }
    config = configured([], **graph)
    program = build_program(config, load(config))
    assert {p.name: p.grid for p in program.network.populations} == {
        "input": (6, 5, 2),
        "skip": (),
        "features": (4, 3, 2),
        "output": (),
    }


def test_memory_is_asked_for_the_weights_that_there_are() -> None:
    kernel = {"kind": "conv2d", "kernel": 3, "padding": 1, "channels": 400}
    layers = {
        "sparse": {"size": 50_000, "forward": {"connectivity": {"kind": "sparse", "fan_in": 2}}},
        "dense": {"size": 50_000},
        "shared": {"forward": {"connectivity": kernel}},
    }
    sizes = {}
    for name, layer in layers.items():
        config = configured([layer], backend="numpy" if name == "shared" else "native")
        [part, *_] = parts_of(config, network_of(config, load(config)))
        assert part.what == "weights in_to_hid and their gradients"
        sizes[name] = part.size
    assert sizes["dense"] >= 60 * 50_000 * 13 * 4  # value, moments, gradient, and what is kept
    assert sizes["sparse"] < 0.75 * sizes["dense"]
    assert sizes["shared"] < 60 * 30 * 400 * 33  # matrices of backend numpy, and little else


@pytest.mark.parametrize("lift", [0.0, 0.25])
def test_silent_neurons_get_new_weights_at_their_synapses_only(lift: float) -> None:
    config = configured(SPARSE, REWIRE_SILENT=True, REWIRE_LIFT=lift)
    program = build_program(config, load(config))
    projection = program.network.layers[0].forward
    assert projection.synapses is not None
    mask, backend = projection.synapses.mask, NumpyBackend(program)
    before = initial_weights(program.network, config.MODEL_SEED)["in_to_hid"]
    backend.set("in_to_hid", before)
    spikes = np.ones(40 + 3, np.int64)
    spikes[[4, 17]] = 0
    assert list(rewire(config, backend, spikes, epoch=1)) == [2, 0]
    after = backend.get("in_to_hid")
    assert not after[~mask].any()
    changed = mask & (spikes[:40] == 0)
    np.testing.assert_array_equal(after != before, changed)
    if lift:
        np.testing.assert_allclose(after[changed], before[changed] + lift)


def test_silent_neurons_that_share_weights_cannot_get_new_ones() -> None:
    config = configured([{"forward": {"connectivity": "conv2d"}, "size": 24}], REWIRE_SILENT=True)
    with pytest.raises(ConfigError, match="REWIRE_SILENT=true: neurons of hidden share the weigh"):
        build_program(config, load(config))
