"""The network of a run: as a picture, as derived equations, and with what it has learned."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnrun.compile.program import PARAMETERS, WEIGHTS, Program
from snnrun.errors import SnnrunError
from snnrun.network.network import Network
from snnrun.page.formulas import equations
from snnrun.page.learned import Moment
from snnrun.page.parts import Markup, Part, Section, Text, element, paragraph
from snnrun.plots.network import network_picture
from snnrun.plots.records import Records
from snnrun.run import program_of

_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)


@dataclass(frozen=True)
class Model:
    """The program of a run and the tensors of its last checkpoint, or why there is none."""

    program: Program | None
    tensors: Mapping[str, np.ndarray]
    epoch: float = 0.0
    why: str = ""

    @property
    def network(self) -> Network | None:
        """Its network."""
        return None if self.program is None else self.program.network

    @property
    def populations(self) -> list[str]:
        """The names of its populations, in the order of the signals."""
        return [] if self.network is None else [p.name for p in self.network.populations]

    @property
    def last(self) -> Moment | None:
        """What the checkpoint holds, as recordings have it."""
        if self.program is None:
            return None
        arrays: dict[str, np.ndarray] = {}
        for tensor in self.program.tensors:
            values = self.tensors[tensor.name]
            if tensor.kind == PARAMETERS:
                population = tensor.name.removesuffix("_parameters")
                arrays |= {
                    f"{population}/{name}": row
                    for name, row in zip(tensor.parameters, values, strict=True)
                }
            elif tensor.kind != WEIGHTS or tensor.projection is None or _has_many(values):
                arrays[tensor.name] = values
        return Moment(self.epoch, "last checkpoint", arrays)


def _has_many(weights: np.ndarray) -> bool:
    return weights.size > 1  # the one of pooling tells nothing


def model_of(records: Records) -> Model:
    """Return the network of a run with what it has learned, by its last checkpoint."""
    try:
        saved, network = records.checkpoint, records.network
        if saved is None or network is None:
            return Model(None, {}, why="There is no checkpoint yet, which tells how large it is.")
        program = program_of(records.config, network)
    except SnnrunError as error:  # the run is of another version, or of a neuron that is gone
        return Model(None, {}, why=f"It cannot be built here: {error}")
    tensors = {name: kept["value"] for name, kept in saved["tensors"].items()}
    return Model(program, tensors, epoch=saved["epoch"] + saved["trial"] / records.batches)


def network(model: Model) -> Section:
    """Return the picture of the network."""
    if model.program is None:
        return Section("Network", [paragraph(model.why, kind="missing")])
    program = model.program
    about = (
        f"{program.network.shape}; {program.trained_values:,} trained values; {program.steps} "
        f"steps of {program.dt:g} ms, {program.integrator} integration. Rule {program.rule.name}: "
        f"{program.rule.meaning}. Loss {program.loss.name}: {program.loss.meaning}."
    )
    delays = {
        name.removesuffix("_delays"): values
        for name, values in model.tensors.items()
        if name.endswith("_delays")
    }
    return Section("Network", [paragraph(about), Text(_drawn(program.network, delays))])


def _drawn(network: Network, delays: Mapping[str, np.ndarray]) -> Markup:
    """Return the picture as SVG within the page, its letters as text."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "snnrun"}):
        network_picture(network, delays, "").figure().savefig(file, format="svg")
    svg = _METADATA.sub("", _PROLOGUE.sub("", file.getvalue(), count=1))
    return element("div", Markup(svg), class_="picture wide")


def derived(model: Model) -> Section:
    """Return the equations of its neurons and what is derived from them."""
    if model.program is None:
        return Section("Equations", [paragraph(model.why, kind="missing")])
    found: Sequence[Part] = list(equations(model.program))
    return Section("Equations", found)
