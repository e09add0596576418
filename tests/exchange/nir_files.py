"""Small NIR graphs, and what NumPy makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snnrun.exchange.neurons import Reading
from snnrun.exchange.nodes import take_apart
from snnrun.exchange.reader import Parts, Reader

Edge = tuple[str, str]


def lif(size: int | tuple[int, ...], tau: float = 0.02, **more: float) -> nir.LIF:
    """Return LIF neurons that are alike."""
    values = {"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, "tau": tau, **more}
    return nir.LIF(**{name: np.full(size, value) for name, value in values.items()})


def cuba(size: int, tau_mem: float = 0.02, tau_syn: float = 0.005, **more: float) -> nir.CubaLIF:
    """Return CubaLIF neurons that are alike."""
    values = {"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, "w_in": 1.0}
    values |= {"tau_mem": tau_mem, "tau_syn": tau_syn, **more}
    return nir.CubaLIF(**{name: np.full(size, value) for name, value in values.items()})


def affine(weight: Any, bias: Any = 0.0) -> nir.Affine:
    """Return an Affine node of a matrix [targets, sources]."""
    weight = np.asarray(weight, float)
    return nir.Affine(weight=weight, bias=np.broadcast_to(bias, weight.shape[0]).astype(float))


def graph(nodes: dict[str, Any], edges: Sequence[Edge] | str, shape: Sequence[int]) -> nir.NIRGraph:
    """Return a graph between an input of a shape and an output.

    ``edges``: as "input a b output", or pairs.
    """
    if isinstance(edges, str):
        edges = list(pairwise(edges.split()))
    ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array([1]))}
    return nir.NIRGraph(nodes=ends | nodes, edges=list(edges), type_check=False)


def saved(found: nir.NIRGraph, folder: Path, name: str = "net.nir") -> str:
    """Write a graph, and return the name of its file."""
    file = folder / name
    nir.write(file, found)
    return str(file)


def read(
    found: nir.NIRGraph,
    stepping: str | None = None,
    *,
    dt: float = 1.0,
    file_step: float | None = None,
    spikes: bool = True,
) -> Parts:
    """Return what a graph becomes."""
    reading = Reading(stepping=stepping, dt=dt, file_step=file_step, spikes=spikes)
    return Reader(take_apart(found), reading).parts()
