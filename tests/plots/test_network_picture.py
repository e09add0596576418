"""network.png: populations and projections of a network, as a picture that can be read."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from graph_cases import GRAPHS, TWO_PORTS
from graphs import network as with_everything
from long import long_but
from pictures import SHAPE, configured

from snnrun.config import from_dict
from snnrun.models.declare import Neuron
from snnrun.models.losses import SUM
from snnrun.models.neurons import LIF, LIF_DOUBLE_EXP, LIF_EXC_INH
from snnrun.network.build import build_network
from snnrun.network.network import Network, Population

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import FancyBboxPatch, PathPatch  # noqa: E402

from snnrun.plots.layout import Box, Layout, Link, place  # noqa: E402
from snnrun.plots.network import COLOURS, effect_of, network_picture  # noqa: E402

Rectangle = tuple[float, float, float, float]  # left, top, right, bottom
CONV = {"kind": "conv2d", "kernel": 3, "channels": 4, "padding": "same"}
LAYERS: list[dict[str, Any]] = [
    {"name": "features", "forward": {"connectivity": CONV}},
    {"name": "pooled", "forward": {"connectivity": "sum_pool"}},
    {"name": "output"},
]
PATHS = [  # two ways to memory, which leads back to both, to itself, and past what comes after it
    *[("input", "retina"), ("retina", "fovea"), ("retina", "gist"), ("fovea", "memory")],
    *[("gist", "memory"), ("memory", "context"), ("context", "retina"), ("context", "fovea")],
    *[("memory", "gist"), ("memory", "memory"), ("memory", "memory"), ("memory", "output")],
    *[("context", "output"), ("input", "output"), ("retina", "output")],
]


def built(n_inputs: int = 5, **keys: Any) -> Network:
    return build_network(from_dict({"dataset": "yinyang", **keys}), n_inputs, 3)


def graph(ends: list[tuple[str, str]], **first: Any) -> Network:
    """Return a network of these projections, the first one with these fields."""
    names = dict.fromkeys(name for pair in ends for name in pair)
    populations = [{"name": n, "size": 20} for n in names if n not in ("input", "output")]
    projections: list[dict[str, Any]] = [{"from": a, "to": b} for a, b in ends]
    projections[0] |= first
    return built(**{"network.populations": populations, "network.projections": projections})


def own(equation: str) -> Neuron:
    """Return a neuron of one's own with an input G."""
    return Neuron(
        name="own",
        equations=f"{equation}\ndG/dt = -G",
        input="G",
        threshold="V >= 1",
        reset="V = 0",
        parameters=(),
    )


NETWORKS = {name: case.network() for name, case in GRAPHS.items()} | {
    "everything": with_everything(SUM, 0, 0.0),
    "chain": built(),
    "recurrent chain": built(N_HID_LAYER=2, RECURRENT=True, TRAIN_TAU=True),
    "convolution": build_network(configured(LAYERS), 60, 3, SHAPE),
    "feedback": graph(PATHS),
}


def drawn(network: Network, title: str = "Network after 3 epochs") -> Figure:
    figure = network_picture(network, {}, title).figure()
    FigureCanvasAgg(figure).draw()
    return figure


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def overlap(one: Rectangle, other: Rectangle) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize(
    "name", long_but(NETWORKS, ["chain", "everything", "convolution", "feedback"])
)
def test_texts_are_within_the_picture_and_none_lies_on_another_or_on_a_box(name: str) -> None:
    titles = {
        "chain": "short",
        "everything": "A title that is longer than the network is wide " * 3,
    }
    figure = drawn(NETWORKS[name], titles.get(name, "Network after 3 epochs (last checkpoint)"))
    axes, legend = figure.axes[0], figure.axes[0].get_legend()
    title = [text for text in figure.texts if text.get_text()]
    every = [*axes.texts, *title, *legend.get_texts()]
    extents = [text.get_window_extent() for text in every]
    for extent in extents:
        assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1
    tolerated = 2.0  # pixels, of two lines of one label
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len(NETWORKS[name].populations)
    for one, other in itertools.combinations(extents, 2):
        shared = min(one.y1, other.y1) - max(one.y0, other.y0)
        apart = one.x1 <= other.x0 or other.x1 <= one.x0
        assert apart or shared < tolerated
    for box in (patch.get_window_extent() for patch in boxes):
        for extent in extents:
            inside = box.x0 <= extent.x0 <= extent.x1 <= box.x1
            assert inside or not box.overlaps(extent)


def laid_out(ends: list[tuple[str, str]]) -> tuple[dict[str, Box], list[Link], Layout]:
    names = dict.fromkeys(name for pair in ends for name in pair)
    boxes = {name: Box(name=name, width=1.0 + k / 9, height=0.5) for k, name in enumerate(names)}
    boxes["memory"] = replace(boxes["memory"], right=1.2) if "memory" in boxes else boxes["input"]
    links = [Link(source=a, target=b, width=1.5, height=0.4) for a, b in ends if a != b]
    boxes = {name: box for name, box in boxes.items() if name in names}
    return boxes, links, place(list(boxes.values()), links)


def test_lines_meet_boxes_at_their_edges_only_and_pass_no_label_of_another() -> None:
    boxes, links, layout = laid_out(PATHS)
    places: list[tuple[str, Rectangle]] = []
    for name, box in boxes.items():
        x, y = layout.boxes[name]
        right = x + box.width / 2 + box.right
        places.append((name, (x - box.width / 2, y - box.height / 2, right, y + box.height / 2)))
    for k, (link, (x, y)) in enumerate(zip(links, layout.labels, strict=True)):
        half, high = link.width / 2, link.height / 2
        places.append((str(k), (x - half, y - high, x + half, y + high)))
    for (_, one), (_, other) in itertools.combinations(places, 2):
        assert not overlap(one, other)
    for k, (link, route) in enumerate(zip(links, layout.routes, strict=True)):
        for end, (x, y) in ((link.source, route[0]), (link.target, route[-1])):
            assert abs(x - layout.boxes[end][0]) < boxes[end].width / 2
            assert abs(y - layout.boxes[end][1]) == pytest.approx(boxes[end].height / 2)
        for (x, y), (to_x, to_y) in itertools.pairwise(route):
            left, right, top, bottom = (*sorted((x, to_x)), *sorted((y, to_y)))
            for name, place_ in places:
                thin = (left - 1e-6, top + 1e-6, right + 1e-6, bottom - 1e-6)
                assert name == str(k) or not overlap(thin, place_), (link, name)


def test_signals_run_down_and_only_what_closes_a_loop_runs_up() -> None:
    _, links, layout = laid_out(PATHS)
    up = {
        (x.source, x.target) for x in links if layout.boxes[x.source][1] > layout.boxes[x.target][1]
    }
    assert up == {("context", "retina"), ("context", "fovea"), ("memory", "gist")}
    heights = {name: y for name, (_, y) in layout.boxes.items()}
    assert heights["fovea"] == heights["gist"]
    assert max(heights.values()) == heights["output"]
    skip = [("input", "a"), ("a", "b"), ("b", "c"), ("input", "c"), ("c", "a"), ("c", "output")]
    _, _, layout = laid_out(skip)  # c is nearer to the input than b, and yet below it
    heights = {name: y for name, (_, y) in layout.boxes.items()}
    assert sorted(heights, key=heights.get) == ["input", "a", "b", "c", "output"]
    side = [("input", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("a", "output")]
    heights = {name: y for name, (_, y) in laid_out(side)[2].boxes.items()}
    assert heights["output"] == heights["c"]  # nothing stands below the output


def test_the_lines_of_a_chain_are_straight() -> None:
    for route in laid_out([("input", "a"), ("a", "b"), ("b", "output")])[2].routes:
        assert len({round(x, 9) for x, _ in route}) == 1


@pytest.mark.parametrize(
    ("neuron", "port", "wanted"),
    [
        (LIF, "I", 1),
        (LIF_EXC_INH, "E", 1),
        (LIF_EXC_INH, "I", -1),
        (LIF_DOUBLE_EXP, "R", 1),
        (own("dV/dt = G * (-10 - V) - V"), "G", -1),
        (own("dV/dt = G / V - V"), "G", 0),  # infinite at rest
    ],
)
def test_a_sign_and_its_port_make_a_projection_excite_or_inhibit(
    neuron: Any, port: str, wanted: int
) -> None:
    network = GRAPHS["ports"].network()
    hidden = network.layers[0]
    values = {p.name: p.default for p in neuron.parameters}
    population = Population(name="a", size=5, neuron=neuron, values=values, floors={})
    for sign, bounds in ((1, (0, np.inf)), (-1, (-np.inf, 0)), (0, (-np.inf, np.inf))):
        projections = [replace(hidden.projections[0], sign=sign, bounds=bounds, port=port)]
        layer = replace(hidden, population=population, projections=tuple(projections))
        whole = Network(input=network.input, layers=(layer, replace(network.layers[1])))
        assert effect_of(whole, projections[0]) == sign * wanted


def test_colour_and_line_tell_sign_and_training() -> None:
    ends = [("input", "a"), ("a", "output")]
    for fields, effect, dashed in (
        ({"sign": "inhibitory"}, -1, False),
        ({"sign": "excitatory", "rule": "frozen"}, 1, True),
        ({}, 0, False),
    ):
        figure = drawn(graph(ends, **fields))
        line = next(p for p in figure.axes[0].patches if isinstance(p, PathPatch))
        assert matplotlib.colors.to_hex(line.get_edgecolor()) == COLOURS[effect].lower()
        assert (line.get_linestyle() != "-") == dashed
        shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert ("fixed weights" in shown) == dashed
        assert ("inhibits" in shown) == (effect < 0)


def test_labels_tell_sizes_connectivity_ports_and_delays() -> None:
    shown = texts(drawn(NETWORKS["convolution"]))
    for line in (
        "6 x 5 x 2 = 60 channels",
        "6 x 5 x 4 = 120 lif",
        "conv2d (kernel 3, padding same, channels 4)",
        "72 weights",
        "sum_pool (kernel 2), 1 weight",
        "dense, 72 weights",
    ):
        assert line in shown
    delay = {"kind": "synaptic", "start": {"uniform": [0, 1]}, "max": 4, "train": True}
    network = graph(
        [("input", "a"), ("a", "output")], delay=delay, connectivity={"kind": "sparse", "fan_in": 2}
    )
    figure = network_picture(network, {"input_to_a": np.array([0.25, 3.5])}, "now").figure()
    for line in (
        "sparse (fan_in 2), 40 weights",
        "synaptic delays of 0.25 to 3.5 ms",
        "trained up to 4 ms",
    ):
        assert line in texts(figure)
    assert "to port I" in texts(drawn(GRAPHS["ports"].network()))
    assert "trained: tau_e, tau_i" in texts(drawn(GRAPHS["ports"].network()))
    assert TWO_PORTS.name in " ".join(texts(drawn(GRAPHS["ports"].network())))
