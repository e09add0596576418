"""A NIR file as nodes by their full names and edges between them, subgraphs taken apart."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from snnrun.errors import ConfigError, ModelError

INSTALL = "pip install '.[nir]' in the folder of snnrun's source, or pip install nir"
SPIKING = ("LIF", "CubaLIF", "IF")
READOUTS = ("LI", "CubaLI", "I")
NEURONS = (*SPIKING, *READOUTS)
LINEAR = ("Affine", "Linear", "Scale", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten")
PASSING = ("Input", "Output", "Identity", "NIRGraph", "Delay")
OWN = "snnrun"  # in the metadata of a graph or node: what NIR has no word for
KNOWN = (*NEURONS, *LINEAR, *PASSING)


def require_nir(asked_by: str) -> Any:
    """Return the package nir.

    Raises:
        ConfigError: It is not installed, or does not load.
    """
    try:
        return importlib.import_module("nir")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "nir"
        why = "which is not installed" if missing else f"which cannot be loaded ({error})"
        raise ConfigError(
            f"{asked_by}: needs the package nir, {why}. Install it: {INSTALL}"
        ) from error


def read_file(path: Path) -> Any:
    """Return the NIRGraph of a file, whose shapes need not be consistent.

    Raises:
        ConfigError: The package nir is missing.
        ModelError: There is no such file, or it is no NIR file.
    """
    nir = require_nir("network.file")
    try:
        with h5py.File(path) as file:
            found = nir.serialization.hdf2dict(file["node"])
        graph = nir.dict2NIRNode(_completed(found))
    except FileNotFoundError:
        raise ModelError(
            f"there is no such file; relative paths are from the folder {Path.cwd()}"
        ) from None
    except IsADirectoryError:
        raise ModelError("is a folder; give the file in it") from None
    except Exception as error:  # h5py's and nir's own, of many kinds
        told = f"{type(error).__name__}: {error}"
        raise ModelError(f"is no NIR file, or a damaged one: {told}") from error
    if kind_of(graph) != "NIRGraph":
        raise ModelError(f"holds a node {kind_of(graph)} alone, and no graph of nodes")
    return graph


def _completed(node: dict[str, Any]) -> dict[str, Any]:
    """Return a node as nir takes it, with the shapes that a file leaves out as unknown."""
    if str(node.get("type", "")).startswith("Conv"):
        node.setdefault("input_shape", None)
    if node.get("type") == "NIRGraph":
        node["type_check"] = False
        node["nodes"] = {name: _completed(inner) for name, inner in node["nodes"].items()}
    return node


def kind_of(node: Any) -> str:
    """Return the name of a node's type, as LIF."""
    return type(node).__name__


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Nodes by their full names, subgraphs taken apart, and edges between them."""

    nodes: Mapping[str, Any]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Any]

    def before(self, name: str) -> list[str]:
        """Return the nodes that lead to one, each once."""
        return list(dict.fromkeys(a for a, b in self.edges if b == name))

    def kinds(self, *kinds: str) -> list[str]:
        """Return the names of all nodes of these kinds."""
        return [name for name, node in self.nodes.items() if kind_of(node) in kinds]


def take_apart(graph: Any) -> Nodes:
    """Return the nodes of a graph and its subgraphs.

    Raises:
        ModelError: An edge leads from or to nowhere, or a node is of a kind that is not known.
    """
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    _add(graph, "", nodes, edges)
    for name, node in nodes.items():
        if kind_of(node) not in KNOWN:
            raise ModelError(
                f"node {name} is a {kind_of(node)}, which has no counterpart here; there are "
                f"{', '.join(k for k in KNOWN if k not in ('Identity', 'NIRGraph'))}"
            )
    metadata = graph.metadata if isinstance(graph.metadata, Mapping) else {}
    return Nodes(nodes=nodes, edges=tuple(dict.fromkeys(edges)), metadata=metadata)


def _add(graph: Any, prefix: str, nodes: dict[str, Any], edges: list[tuple[str, str]]) -> None:
    """Add the nodes and edges of a graph, under names that begin with ``prefix``."""
    full = {
        name: name if not prefix or name.startswith(f"{prefix}.") else f"{prefix}.{name}"
        for name in graph.nodes
    }
    ports: dict[str, dict[str, list[str]]] = {}
    for name, node in graph.nodes.items():
        if kind_of(node) == "NIRGraph":
            _add(node, full[name], nodes, edges)
            ports[name] = {
                kind: [n for n, inner in node.nodes.items() if kind_of(inner) == kind]
                for kind in ("Input", "Output")
            }
        else:
            nodes[full[name]] = node

    def end(name: str, kind: str) -> str:
        """Return the node that an edge means; of a subgraph its one input or output."""
        if name in ports:
            inner = ports[name][kind]
            if len(inner) != 1:
                raise ModelError(
                    f"an edge {'to' if kind == 'Input' else 'from'} subgraph {full[name]} does not "
                    f"say which of its {kind} nodes it means: {', '.join(inner) or 'there is none'}"
                )
            return _within(full[name], inner[0])
        if name in full:
            return full[name]
        for sub in ports:  # sub.port, a node of a subgraph
            if name.startswith(f"{sub}.") and (found := _within(full[sub], name)) in nodes:
                return found
        raise ModelError(f"an edge names node {name}, which there is not")

    edges += [(end(a, "Output"), end(b, "Input")) for a, b in graph.edges]


def _within(prefix: str, name: str) -> str:
    return name if name.startswith(f"{prefix}.") else f"{prefix}.{name}"


def own_of(node: Any) -> Mapping[str, Any] | None:
    """Return what this project wrote beside a node, None where it did not, or it is no JSON."""
    metadata = getattr(node, "metadata", None)
    text = metadata.get(OWN) if isinstance(metadata, Mapping) else None
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if isinstance(found, Mapping) else None
