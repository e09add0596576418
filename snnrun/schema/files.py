"""``network.file``: a network that a file of another program describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnrun.errors import SnnrunError
from snnrun.keys.check import NotChecked
from snnrun.models.losses import BUILT_IN
from snnrun.schema.given import Given, Graph

FILE_KEY = "network.file"
Values = Mapping[str, Any]


def graph_of_file(values: Values) -> Graph:
    """Return the graph that the file of a configuration describes.

    Raises:
        NotChecked: It cannot be read; ``problem_of_file`` says why.
    """
    try:
        parts = _parts(values)
    except SnnrunError:
        raise NotChecked(FILE_KEY) from None
    first, *populations = [
        Given(fields=fields, place=f"{FILE_KEY}, population {fields['name']}")
        for fields in parts.populations
    ]
    at = next(i for i, p in enumerate(populations) if p.name == "output")
    return Graph(
        input=first,
        populations=(*populations[:at], *populations[at + 1 :], populations[at]),
        projections=tuple(
            Given(fields=fields, place=f"{FILE_KEY}, projection {fields['name']}")
            for fields in parts.projections
        ),
    )


def problem_of_file(values: Values) -> str:
    """Return why the file of a configuration cannot be read, or nothing."""
    try:
        _parts(values)
    except SnnrunError as error:
        return str(error)
    return ""


def _parts(values: Values) -> Any:
    from snnrun.exchange.neurons import Reading  # with the package nir and NumPy, which load slowly
    from snnrun.exchange.reader import parts_of

    loss = BUILT_IN.get(values["LOSS_TYPE"])
    reading = Reading(
        stepping=values["network.stepping"],
        dt=values["DT_MS"],
        file_step=values["network.file_step"],
        spikes=loss is not None and loss.spiking,
    )
    return parts_of(values[FILE_KEY], reading)
