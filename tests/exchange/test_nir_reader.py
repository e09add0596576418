"""What becomes of the nodes of a NIR file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnrun.connectivity import Ends
from snnrun.connectivity.synapses import connect
from snnrun.errors import ModelError

nir = pytest.importorskip("nir", reason="needs the package nir: pip install '.[nir]'")

from nir_files import affine, cuba, graph, lif, read  # noqa: E402


def matrix_of(fields: dict[str, Any], shape: tuple[int, int]) -> np.ndarray:
    """Return the weights of a projection as a matrix [sources, targets]."""
    if "connectivity" not in fields:
        return fields["weights"]
    ends = Ends(pre=shape[0], post=shape[1])
    synapses = connect(fields["connectivity"], ends, np.random.default_rng(0), "here")
    assert synapses is not None
    return synapses.matrix(fields["weights"])


def test_times_are_seconds_there_and_milliseconds_here() -> None:
    found = graph({"w": affine([[2.0]]), "n": cuba(1, 0.02, 0.005)}, "input w n output", [1])
    (_, neuron) = read(found).populations
    assert neuron["parameters"]["tau_mem"] == pytest.approx(20)
    assert neuron["parameters"]["tau_syn"] == pytest.approx(5)
    (_, slower) = read(found, dt=5.0, file_step=0.1).populations
    assert slower["parameters"]["tau_mem"] == pytest.approx(1000)


def test_parameters_that_are_alike_are_one_number_and_others_an_array() -> None:
    neurons = lif(3)
    neurons.tau = np.array([0.01, 0.02, 0.03])
    found = graph({"w": affine(np.ones((3, 2))), "n": neurons}, "input w n output", [2])
    (_, neuron) = read(found).populations
    assert neuron["parameters"]["tau_mem"] == pytest.approx([10, 20, 30])
    assert neuron["parameters"]["v_thresh"] == 1.0
    assert neuron["size"] == 3


def test_biases_of_all_that_leads_to_a_neuron_are_added() -> None:
    nodes = {
        "w": affine(np.ones((2, 3)), [1.0, 2.0]),
        "back": affine(np.eye(2), [0.5, 0.25]),
        "n": lif(2),
    }
    edges = [("input", "w"), ("w", "n"), ("n", "back"), ("back", "n"), ("n", "output")]
    parts = read(graph(nodes, edges, [3]))
    assert parts.populations[-1]["parameters"]["bias"] == pytest.approx([1.5, 2.25])
    assert [(p["from"], p["to"], p["name"]) for p in parts.projections] == [
        ("input", "output", "w"),
        ("output", "output", "back"),
    ]


def test_a_bias_before_two_ways_to_a_neuron_counts_once_for_each() -> None:
    nodes = {
        "w": affine([[1.0], [1.0]], [1.0, 10.0]),
        "a": affine([[1.0, 2.0]]),
        "b": affine([[3.0, 4.0]], [0.5]),
        "n": lif(1),
    }
    edges = [("input", "w"), ("w", "a"), ("w", "b"), ("a", "n"), ("b", "n"), ("n", "output")]
    parts = read(graph(nodes, edges, [1]))
    assert parts.populations[-1]["parameters"]["bias"] == pytest.approx(21 + 43 + 0.5)
    total = sum(matrix_of(p, (1, 1)) for p in parts.projections)
    assert total == pytest.approx(np.array([[3 + 7]]))


def test_a_subgraph_is_taken_apart_wherever_its_nodes_are_named() -> None:
    inner = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([2])),
            "lif": lif(2),
            "w_rec": affine([[0.0, 1.0], [2.0, 0.0]]),
            "output": nir.Output(np.array([2])),
        },
        edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    nodes = {"w": affine(np.ones((2, 3))), "rnn": inner, "v": affine(np.ones((1, 2))), "m": lif(1)}
    parts = read(graph(nodes, "input w rnn v m output", [3]))
    assert [p["name"] for p in parts.populations] == ["input", "rnn_lif", "output"]
    loop = next(p for p in parts.projections if p["from"] == p["to"])
    assert loop["name"] == "rnn_w_rec"
    assert loop["weights"].tolist() == [[0.0, 2.0], [1.0, 0.0]]


def test_shapes_that_a_file_leaves_out_are_filled_in() -> None:
    conv = nir.Conv2d(
        input_shape=None,
        weight=np.ones((4, 2, 3, 3)),
        stride=(1, 1),
        padding=(1, 1),
        dilation=(1, 1),
        groups=1,
        bias=np.zeros(4),
    )
    pool = nir.SumPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.zeros(2))
    flat = nir.Flatten(input_type=None, start_dim=0, end_dim=-1)
    nodes = {"conv": conv, "a": lif(1), "pool": pool, "flat": flat}
    nodes |= {"w": affine(np.ones((3, 36))), "b": lif(3)}
    parts = read(graph(nodes, "input conv a pool flat w b output", [2, 6, 6]))
    hidden = parts.populations[1]
    assert (hidden["size"], hidden["shape"]) == (144, (6, 6, 4))
    assert parts.projections[1]["weights"].shape == (36, 3)  # shared by the windows of the pooling


def convolved(x: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Return the convolution of [channels, rows, columns] as its definition has it."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    outs, _, k, _ = weight.shape
    places = [(n - k) // stride + 1 for n in x.shape[1:]]
    found = np.zeros((outs, *places))
    for y, z in np.ndindex(*places):
        part = x[:, y * stride : y * stride + k, z * stride : z * stride + k]
        found[:, y, z] = np.tensordot(weight, part, 3)
    return found


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_a_chain_of_pooling_convolution_and_flattening_is_one_projection(
    stride: int, padding: int
) -> None:
    random = np.random.default_rng(3)
    weight = random.normal(size=(3, 2, 3, 3))
    conv = nir.Conv2d(
        input_shape=None,
        weight=weight,
        stride=(stride, stride),
        padding=(padding, padding),
        dilation=(1, 1),
        groups=1,
        bias=np.zeros(3),
    )
    pool = nir.AvgPool2d(
        kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0])
    )
    places = (5 + 2 * padding - 3) // stride + 1
    last = random.normal(size=(4, 3 * places**2))
    nodes: dict[str, Any] = {"pool": pool, "conv": conv}
    nodes |= {"flat": nir.Flatten(None, 0, -1), "w": affine(last), "n": lif(4)}
    image = random.normal(size=(2, 10, 10))
    parts = read(graph(nodes, "input pool conv flat w n output", image.shape))
    pooled = image.reshape(2, 5, 2, 5, 2).mean(axis=(2, 4))
    wanted = last @ convolved(pooled, weight, stride, padding).ravel()
    found = np.moveaxis(image, 0, -1).ravel() @ matrix_of(parts.projections[0], (200, 4))
    assert found == pytest.approx(wanted)


def test_groups_dilation_and_padding_of_a_convolution_are_those_of_its_definition() -> None:
    random = np.random.default_rng(4)
    weight = random.normal(size=(4, 2, 2))  # [c_out, c_in / groups, length]
    conv = nir.Conv1d(
        input_shape=None, weight=weight, stride=1, padding=1, dilation=2, groups=2, bias=np.ones(4)
    )
    parts = read(graph({"c": conv, "n": lif(1)}, "input c n output", [4, 6]))
    x = random.normal(size=(4, 6))
    padded = np.pad(x, ((0, 0), (1, 1)))
    wanted = np.zeros((4, 6))
    for out in range(4):
        for place in range(6):
            for c in range(2):
                taps = padded[2 * (out // 2) + c, [place, place + 2]]
                wanted[out, place] += weight[out, c] @ taps
    found = x.T.ravel() @ matrix_of(parts.projections[0], (24, 24))
    assert pytest.approx(wanted) == found.reshape(6, 4).T
    assert parts.populations[1]["parameters"]["bias"] == 1.0


@pytest.mark.parametrize(
    ("nodes", "edges", "told"),
    [
        (
            {"t": nir.Threshold(np.ones(2)), "n": lif(2)},
            "input t n output",
            "node t is a Threshold",
        ),
        (
            {"m": nir.LI(np.ones(2), np.ones(2), np.zeros(2)), "w": affine(np.eye(2)), "n": lif(2)},
            "input m w n output",
            "node m .LI. does not spike",
        ),
        (
            {"w": affine(np.ones((2, 3))), "n": lif(2)},
            "input w n output",
            "node w .Affine.: its we",
        ),
        (
            {"a": affine(np.eye(2)), "n": lif(2)},
            [("input", "a"), ("a", "n")],
            "has 0 Output|nothing",
        ),
        (
            {"a": affine(np.eye(2)), "b": affine(np.eye(2)), "n": lif(2)},
            [("input", "a"), ("a", "b"), ("b", "a"), ("b", "n"), ("n", "output")],
            "a loop of linear nodes",
        ),
    ],
)
def test_what_there_is_not_here_is_refused_by_the_name_of_its_node(
    nodes: dict[str, Any], edges: Any, told: str
) -> None:
    with pytest.raises(ModelError, match=told):
        read(graph(nodes, edges, [2]))


def test_values_that_a_program_ignores_are_refused_where_it_is_followed() -> None:
    found = graph({"w": affine([[1.0]]), "n": lif(1, r=2.0)}, "input w n output", [1])
    with pytest.raises(ModelError, match=r"node n \(LIF\) has r = 2, and norse takes 1"):
        read(found, "norse")
    assert read(found, "exact").populations[1]["parameters"]["r"] == 2.0


def test_delays_of_sources_of_targets_and_of_all() -> None:
    nodes = {
        "d": nir.Delay(np.array([0.001, 0.002])),
        "w": affine(np.ones((3, 2))),
        "e": nir.Delay(np.full(3, 0.004)),
        "n": lif(3),
    }
    (projection,) = read(graph(nodes, "input d w e n output", [2])).projections
    assert projection["delay"] == {"kind": "axonal", "start": pytest.approx((5.0, 6.0))}


def test_programs_without_steps_between_layers_are_met_by_delays_and_late_starts() -> None:
    nodes = {
        "w": affine(np.eye(2)),
        "a": lif(2),
        "v": affine(np.eye(2), 0.1),
        "skip": affine(np.eye(2)),
        "b": lif(2),
    }
    edges = [("input", "w"), ("w", "a"), ("a", "v"), ("v", "b"), ("input", "skip"), ("skip", "b")]
    parts = read(graph(nodes, [*edges, ("b", "output")], [2]), "euler", dt=0.5)
    by_name = {p["name"]: p for p in parts.projections}
    assert by_name["skip"]["delay"] == 0.5  # a step, as spikes of a take one
    assert "delay" not in by_name["v"]
    assert parts.populations[2]["neuron"] == "nir.euler.LIF.late"
    assert parts.populations[2]["parameters"]["lag"] == 1.0


def test_a_matrix_behind_an_image_is_one_of_the_numbers_that_neurons_have_here() -> None:
    random = np.random.default_rng(9)
    weight, image = random.normal(size=(5, 24)), random.normal(size=(2, 3, 4))
    nodes = {"flat": nir.Flatten(np.array(image.shape), 0, -1), "w": affine(weight), "n": lif(5)}
    (projection,) = read(graph(nodes, "input flat w n output", image.shape)).projections
    assert "connectivity" not in projection
    found = np.moveaxis(image, 0, -1).ravel() @ projection["weights"]
    assert found == pytest.approx(weight @ image.ravel())


def test_several_inputs_are_the_channels_one_after_the_other() -> None:
    nodes = {"a": nir.Input(np.array([2])), "b": nir.Input(np.array([3])), "n": lif(1)}
    nodes |= {"v": affine(np.full((1, 2), 2.0)), "w": affine(np.full((1, 3), 3.0), 0.5)}
    nodes["out"] = nir.Output(np.array([1]))
    edges = [("a", "v"), ("b", "w"), ("v", "n"), ("w", "n"), ("n", "out")]
    parts = read(nir.NIRGraph(nodes=nodes, edges=edges, type_check=False))
    assert (parts.inputs, parts.populations[0]["size"]) == (5, 5)
    total = sum(matrix_of(p, (5, 1)) for p in parts.projections)
    assert total.ravel().tolist() == [2, 2, 3, 3, 3]
    assert parts.populations[1]["parameters"]["bias"] == 0.5


def test_a_chain_gives_its_nodes_back_with_the_weights_where_they_were() -> None:
    random = np.random.default_rng(10)
    sides = np.array([2, 2])
    nodes: dict[str, Any] = {
        "pool": nir.AvgPool2d(kernel_size=sides, stride=sides, padding=np.array([0, 0])),
        "flat": nir.Flatten(np.array([2, 3, 4]), 0, -1),
        "w": affine(random.normal(size=(5, 24)), 1.0),
        "n": lif(5),
    }
    (projection,) = read(graph(nodes, "input pool flat w n output", [2, 6, 8])).projections
    chain = projection["connectivity"]
    found, taken = chain.written("w", projection["weights"], np.full(5, 2.0))
    assert [name for name, _ in found] == ["w_0", "w_1", "w"]
    assert taken
    assert np.array_equal(found[-1][1].weight, nodes["w"].weight)
    assert found[-1][1].bias.tolist() == [2.0] * 5
