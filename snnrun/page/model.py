"""The network of a run: as a picture, as derived equations, and with what it has learned."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnrun.compile.program import DELAYS, PARAMETERS, Program
from snnrun.errors import SnnrunError
from snnrun.network.network import Network
from snnrun.page.formulas import equations
from snnrun.page.parts import Markup, Part, Section, Text, element, paragraph
from snnrun.plots.network import network_picture
from snnrun.plots.records import Records
from snnrun.run import program_of

LAST = "last checkpoint"
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

    def arrays(self, kind: str) -> dict[str, np.ndarray]:
        """Return weights or delays by projection, or parameters as population/parameter."""
        found: dict[str, np.ndarray] = {}
        for tensor in self.program.tensors if self.program else ():
            values = self.tensors[tensor.name]
            if tensor.kind == kind == PARAMETERS:
                population = self.populations[tensor.layer + 1]
                names = [f"{population}/{name}" for name in tensor.parameters]
                found |= dict(zip(names, values, strict=True))
            elif tensor.kind == kind and tensor.projection and values.size > 1:  # pooling has one
                found[tensor.projection.name] = values
        return found


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
    drawn = _drawn(program.network, model.arrays(DELAYS))
    return Section("Network", [paragraph(about), Text(drawn)])


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
