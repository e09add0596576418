"""The network as a picture: populations, and the projections between them.

Signals run down; what leads up is feedback. What a projection's arrivals do to its target is told
by colour and by the end of its line, what is trained by whether the line is solid.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from snnrun.models.equations import symbol
from snnrun.network.network import Network, Population, Projection
from snnrun.plots.layout import Box, Link, Point, place
from snnrun.plots.style import (
    BLACK,
    BLUE,
    GREY,
    HEADING,
    ORANGE,
    POINTS,
    SKY,
    VERMILION,
    Picture,
    width_of,
)

SIZE, SMALL = 10.0, 9.0  # of the texts, in points, where nothing else is asked for
LEADING = 1.3  # distance of lines, in sizes
PADDING = 0.1  # around the text of a box, in inches
ABOVE = 0.02  # of the height, above a title
MARGIN, TITLE, LEGEND = 0.15, 0.3, 0.24  # in inches; a line of the legend
KEY = 0.55  # room for a line of the legend beside its text, in inches
LOOP = 0.4  # width of a loop beside its box, in inches
WIDEST = 44  # characters in a line of a label
HEAD, BAR = 0.1, 0.08  # of the ends of lines, in inches
BESIDE = 0.18  # between ends of lines at a box, in inches, if all were on one side
COLOURS = {1: BLUE, -1: VERMILION, 0: "#444444"}
MEANINGS = {1: "excites", -1: "inhibits", 0: "weights of either sign"}


@dataclass(frozen=True)
class _Text:
    """Lines of text, the first one bold."""

    lines: Sequence[str]
    size: float

    @property
    def width(self) -> float:
        """In inches."""
        return max(width_of(x, self.size, bold=k == 0) for k, x in enumerate(self.lines))

    @property
    def height(self) -> float:
        """In inches."""
        return len(self.lines) * self.leading

    @property
    def leading(self) -> float:
        """Distance of lines, in inches."""
        return LEADING * self.size / POINTS

    def write(self, axes: Axes, at: Point, align: str = "center") -> None:
        """Write it, its middle at that height."""
        for k, line in enumerate(self.lines):
            y = at[1] + (k - (len(self.lines) - 1) / 2) * self.leading
            weight = "bold" if k == 0 else "normal"
            look: dict[str, Any] = {
                "size": self.size,
                "weight": weight,
                "parse_math": False,
                "zorder": 4,
            }
            axes.text(at[0], y, line, ha=align, va="center", **look)


def network_picture(network: Network, delays: Mapping[str, np.ndarray], title: str) -> Picture:
    """Return the picture of a network.

    Args:
        network: What is drawn.
        delays: Projection -> its delays now (ms), where they are not all as at the start.
        title: Stands above it.
    """
    names = {p.name: _Text(_words_of(p), SIZE) for p in network.populations}
    labels = {p.name: _Text(_words(network, p, delays), SMALL) for p in network.projections}
    loops = [p for p in network.projections if p.source == p.target]
    links = [p for p in network.projections if p.source != p.target]
    boxes = []
    for name, text in names.items():
        own = [labels[p.name] for p in loops if p.source == name]
        ends = [p for p in links if name in (p.source, p.target)]
        boxes.append(
            Box(
                name=name,
                width=max(text.width + 2 * PADDING, BESIDE * len(ends)),
                height=max(text.height, sum(x.height + PADDING for x in own)) + 2 * PADDING,
                right=max(LOOP + PADDING + x.width for x in own) if own else 0.0,
            )
        )
    layout = place(boxes, [_link(p, labels[p.name]) for p in links])
    legend = _legend(network)
    widest = max(width_of(str(line.get_label()), SMALL) for line in legend)
    across = max(layout.right - layout.left, width_of(title, HEADING), KEY + widest)
    width = across + 2 * MARGIN
    columns = max(1, int(across / (KEY + widest)))
    below = -(-len(legend) // columns) * LEGEND + MARGIN
    height = (TITLE + layout.height + MARGIN + below) / (1 - ABOVE)
    middle = (layout.left + layout.right) / 2

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("none")  # axes of the whole figure, in inches
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        scale = _give_limits(figure, axes, middle, width, height)
        figure.suptitle(title, fontsize=scale * HEADING)  # in one line, as there is room for it
        for box in boxes:
            population = next(p for p in network.populations if p.name == box.name)
            _draw_box(axes, box, layout.boxes[box.name], _fill(network, population))
            names[box.name].write(axes, layout.boxes[box.name])
            own = [p for p in loops if p.source == box.name]
            _draw_loops(axes, box, layout.boxes[box.name], network, own, labels)
        for p, label, route in zip(links, layout.labels, layout.routes, strict=True):
            _draw_line(axes, _curve(route), network, p)
            text = labels[p.name]
            _blank(axes, label, text.width, text.height)
            text.write(axes, label)
        key = axes.legend(handles=legend, frameon=False, fontsize=SMALL, ncols=columns)
        key.set_loc("lower left")
        for written in [*axes.texts, *key.get_texts()]:
            written.set_fontsize(scale * float(written.get_fontsize()))

    return Picture("network", (width, height), title, paint)


def _link(projection: Projection, label: _Text) -> Link:
    ends = {"source": projection.source, "target": projection.target}
    return Link(**ends, width=label.width, height=label.height + PADDING / 2)


def _words_of(population: Population) -> list[str]:
    size = f"{population.size:,}"
    if population.grid and population.size not in population.grid:
        size = f"{' x '.join(map(str, population.grid))} = {size}"
    kind = "channels" if population.neuron is None else population.neuron.name
    trained = [f"trained: {', '.join(population.trained)}"] if population.trained else []
    return [population.name, f"{size} {kind}", *_wrapped(trained)]


def _words(network: Network, projection: Projection, delays: Mapping[str, np.ndarray]) -> list[str]:
    """Return the label of a projection."""
    synapses = projection.synapses
    count = network.size(projection.source) * network.size(projection.target)
    count = count if synapses is None else synapses.count
    plural = "" if count == 1 else "s"
    kind = projection.connectivity or ("listed" if synapses is not None else "dense")
    words = [[kind, f"{count:,} weight{plural}"]]
    if projection.port:
        words.append([f"to port {projection.port}"])
    if projection.plastic:
        words.append([f"trained by {projection.rule}"])
    if (known := projection.delays) is not None:
        start = known.start
        if synapses is not None and start.shape == synapses.shape:
            start = start[synapses.mask]
        now = delays.get(projection.name, start)
        low, high = (f"{round(float(x), 2):g}" for x in (now.min(), now.max()))
        span = f"delay of {low}" if low == high else f"delays of {low} to {high}"
        learned = [f"trained up to {known.most:g} ms"] if known.trained else []
        words.append([f"{known.kind.value} {span} ms", *learned])
    return [projection.name, *(line for parts in words for line in _wrapped(parts))]


def _wrapped(parts: Sequence[str]) -> list[str]:
    """Return parts in one line where they fit, or each in its own."""
    whole = ", ".join(parts)
    lines = [whole] if len(whole) <= WIDEST else parts
    return [line for text in lines for line in textwrap.wrap(text, WIDEST)]


def effect_of(network: Network, projection: Projection) -> int:
    """Return whether spikes excite, 1, or inhibit, -1, or either, 0, by weights and port."""
    low, high = projection.bounds
    sign = int(low >= 0) - int(high <= 0)
    population = network.layer(projection.target).population
    return sign * _effect_of_port(population, network.port_of(projection))


def _effect_of_port(population: Population, port: int) -> int:
    """Return the sign with which a port acts on the potential of neurons at rest."""
    neuron = population.neuron
    assert neuron is not None
    system = neuron.system
    if system.update:
        return 1
    rest = dict.fromkeys(system.states, 0.0)
    rest |= {name: float(np.mean(value)) for name, value in population.values.items()}
    at_rest = {symbol(name): value for name, value in rest.items()}
    slopes = [[rate.diff(symbol(state)) for state in system.states] for rate in system.rates]
    values = [[slope.subs(at_rest) for slope in row] for row in slopes]
    jacobian = np.array(
        [[float(v) if v.is_real and v.is_finite else 0.0 for v in row] for row in values]
    )
    at = system.states.index(system.threshold_state or system.states[0])
    row, column = np.eye(len(system.states))[at], system.states.index(neuron.ports[port])
    for _ in system.states:
        if row[column]:
            return int(np.sign(row[column]))
        row = row @ jacobian
    return 0


# Drawing


def _give_limits(figure: Figure, axes: Axes, middle: float, width: float, height: float) -> float:
    """Let axes begin above the title and have the picture in their middle; return its scale."""
    across, high = figure.get_size_inches()
    scale = float(min(across / width, high / height))  # a figure may have another size
    axes.set_xlim(middle - across / scale / 2, middle + across / scale / 2)
    top = -TITLE - ABOVE * height
    axes.set_ylim(top + high / scale, top)
    return scale


def _fill(network: Network, population: Population) -> str:
    if population.neuron is None:
        return GREY
    return ORANGE if population is network.populations[-1] else SKY


def _draw_box(axes: Axes, box: Box, at: Point, colour: str) -> None:
    corner = at[0] - box.width / 2, at[1] - box.height / 2
    style = f"round,pad=0,rounding_size={PADDING}"
    patch = FancyBboxPatch(corner, box.width, box.height, boxstyle=style, zorder=3)
    patch.set(facecolor=to_rgba(colour, 0.35), edgecolor=BLACK, linewidth=1.0)
    axes.add_patch(patch)


def _draw_loops(
    axes: Axes,
    box: Box,
    at: Point,
    network: Network,
    loops: Sequence[Projection],
    labels: Mapping[str, _Text],
) -> None:
    """Draw projections of a population to itself on its right, below each other."""
    edge, top = at[0] + box.width / 2, at[1] - sum(labels[p.name].height for p in loops) / 2
    top -= PADDING * (len(loops) - 1) / 2
    for p in loops:
        text = labels[p.name]
        y, half = top + text.height / 2, text.height / 3
        points = [(edge, y - half), (edge + 1.3 * LOOP, y - half), (edge + 1.3 * LOOP, y + half)]
        curve = Path([*points, (edge, y + half)], [Path.MOVETO, *[Path.CURVE4] * 3])
        _draw_line(axes, curve, network, p)
        text.write(axes, (edge + LOOP + PADDING / 2, y), "left")
        top += text.height + PADDING


def _blank(axes: Axes, at: Point, width: float, height: float) -> None:
    """Keep a place free of the line on which a label stands."""
    x, y = at[0] - width / 2, at[1] - height / 2
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    axes.add_patch(Polygon(corners, facecolor="white", linewidth=0, zorder=2))


def _curve(route: Sequence[Point]) -> Path:
    points, codes = [route[0]], [Path.MOVETO]
    for k, (x, y) in enumerate(route[1:], 1):
        if np.allclose((x, y), points[-1]):  # a box that fills its row
            continue
        if k % 2:
            points.append((x, y))
            codes.append(Path.LINETO)
        else:
            before, half = points[-1], (points[-1][1] + y) / 2
            points += [(before[0], half), (x, half), (x, y)]
            codes += [Path.CURVE4] * 3
    return Path(points, codes)


def _draw_line(axes: Axes, path: Path, network: Network, projection: Projection) -> None:
    """Draw the line of a projection, with an arrow or, where it inhibits, a bar at its end."""
    effect = effect_of(network, projection)
    colour, style = COLOURS[effect], "-" if projection.trained else (0, (4, 2.5))
    axes.add_patch(
        PathPatch(path, facecolor="none", edgecolor=colour, linewidth=1.4, linestyle=style)
    )
    before, end = np.asarray(path.vertices)[-2:]
    along = (end - before) / np.hypot(*(end - before))
    across = np.array([-along[1], along[0]])
    if effect < 0:
        at = end - 0.03 * along
        (x, y), (to_x, to_y) = at - BAR * across, at + BAR * across
        axes.plot([x, to_x], [y, to_y], color=colour, linewidth=3)
        return
    corners = [end, end - HEAD * along + HEAD / 2 * across, end - HEAD * along - HEAD / 2 * across]
    axes.add_patch(Polygon(corners, facecolor=colour, linewidth=0, zorder=3))


def _legend(network: Network) -> list[Line2D]:
    """Return what there is of colours, ends and lines."""
    effects = {effect_of(network, p) for p in network.projections}
    trained = {p.trained for p in network.projections}
    lines = []
    for effect, words in MEANINGS.items():
        if effect in effects:
            end = "|" if effect < 0 else ">"
            lines.append(
                Line2D([], [], color=COLOURS[effect], marker=end, markersize=6, label=words)
            )
    if True in trained:
        lines.append(Line2D([], [], color=GREY, linestyle="-", label="trained weights"))
    if False in trained:
        lines.append(Line2D([], [], color=GREY, linestyle="--", label="fixed weights"))
    return lines
