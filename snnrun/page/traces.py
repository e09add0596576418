"""Traces and axes as Plotly has them; colours are names, which the page's script looks up.

``@0`` to ``@6`` are colours that colour-blind people tell apart, ``@ink`` that of texts and
``@muted`` a grey; ``@0/0.2`` is mostly transparent. They differ between light and dark.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

COLOURS = 7
DASHES = ("solid", "dash", "dot", "dashdot")
SCALE = "Viridis"  # of what has an order
PERCENT = {"tickformat": ".0%", "hoverformat": ".2%"}
_MARKED = 25  # points up to which every one has a marker
_TICKED = 8  # epochs up to which each has a tick
_LOGARITHMIC = 20.0  # ratio of largest to smallest value from which on an axis is logarithmic
_INTEGERS = ("u1", "i1", "u2", "i2", "u4", "i4")

Trace = dict[str, Any]
Axis = dict[str, Any]


def packed(values: Any) -> dict[str, str]:
    """Return numbers as Plotly reads them from a page: base64 of the smallest type that they fit.

    Numbers with a fraction are float32; those that are not finite make gaps.
    """
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        array = array.astype(np.int64)
        fitting = (d for d in _INTEGERS if _fits(array, np.iinfo(d)))
        array = array.astype(next(fitting, "f8"))
    else:
        array = np.where(np.isfinite(array), array, np.nan).astype("f4")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    spec = {"dtype": array.dtype.str[1:], "bdata": base64.b64encode(little.tobytes()).decode()}
    return spec | ({"shape": ", ".join(map(str, array.shape))} if array.ndim > 1 else {})


def _fits(array: np.ndarray, info: Any) -> bool:
    return not array.size or (array.min() >= info.min and array.max() <= info.max)


def literal(text: str) -> str:
    """Return a text of which Plotly makes no HTML: it would take ``<b>`` for bold."""
    return escape(text, quote=False)


def colour(number: int, share: float = 1.0) -> str:
    """Return the colour of the curve of a number; ``share`` is how much it covers."""
    name = f"@{number % COLOURS}"
    return name if share == 1.0 else f"{name}/{share:g}"


def dash(number: int) -> str:
    """Return the dashes of a curve, which tell it apart where colours come again."""
    return DASHES[number // COLOURS % len(DASHES)]


def curve(x: Any, y: Any, name: str, number: int = 0, **more: Any) -> Trace:
    """Return a curve; with a few points each has a marker."""
    few = len(np.asarray(x)) <= _MARKED
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "x": packed(x),
        "y": packed(y),
        "name": literal(name),
        "line": {"color": colour(number), "dash": dash(number), "width": 1.8},
        "marker": {"size": 5},
        **more,
    }


def band(x: Any, low: Any, high: Any, number: int = 0, **more: Any) -> list[Trace]:
    """Return what fills the room between two curves."""
    edge = {
        "type": "scatter",
        "mode": "lines",
        "x": packed(x),
        "line": {"width": 0, "color": colour(number)},
        "hoverinfo": "skip",
        "showlegend": False,
        **more,
    }
    fill = {"fill": "tonexty", "fillcolor": colour(number, 0.2)}
    return [{**edge, "y": packed(low)}, {**edge, "y": packed(high), **fill}]


def axis(*title: str, **more: Any) -> Axis:
    """Return an axis with a title, of one line or more."""
    return {"title": {"text": "<br>".join(map(literal, title))}, **more}


def epochs(last: float) -> Axis:
    """Return the axis of epochs up to ``last``, whose ticks are whole numbers."""
    return axis("epoch", tickformat="d", **({"dtick": 1} if last <= _TICKED else {}))


def logarithmic(columns: Sequence[np.ndarray], ratio: float = _LOGARITHMIC) -> Axis:
    """Return what makes an axis logarithmic where values are positive and span a wide range."""
    values = np.concatenate([np.asarray(c, float).ravel() for c in columns] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() >= ratio * values.min():
        return {"type": "log"}
    return {}


def histogram(
    values: np.ndarray, bins: np.ndarray, name: str, number: int = 0, **more: Any
) -> Trace:
    """Return how many values lie between each two of ``bins``, as bars."""
    counts, edges = np.histogram(values, bins)
    return {
        "type": "bar",
        "x": packed((edges[:-1] + edges[1:]) / 2),
        "y": packed(counts),
        "width": packed(np.diff(edges)),
        "customdata": [f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges)],
        "hovertemplate": "%{customdata}: %{y}<extra></extra>",
        "name": literal(name),
        "marker": {"color": colour(number, 0.75)},
        **more,
    }


def merged(*layouts: Mapping[str, Any]) -> dict[str, Any]:
    """Return layouts in one."""
    return {key: value for layout in layouts for key, value in layout.items()}
