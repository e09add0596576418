"""The input population: it reads the events of its examples from tables on the device.

A step of GeNN delivers the spikes of the step before, so channels emit the events of step s in
GeNN's step s, and they arrive in step s of the trial, which is GeNN's step s + 1. On the way back
the events of step m are returned while the other populations are in step m. ``events`` counts what
a channel emits in a step, below 0 on the way back.

GeNN loads and stores every variable in every step, so that what few steps need is in tables.

Dropout is the native backend's hash of (key of the example, channel, step), written without >>,
which GeNN's scanner does not know.
"""

from __future__ import annotations

import numpy as np

from snnrun.backends.genn.description import Access, Neurons, Parameter, Table, Variable
from snnrun.backends.genn.printer import fill
from snnrun.backends.genn.settings import Settings

NONE = -9  # no event left: a step that is never compared with
# Where an example begins: its row of channel_start, its first event, and its key for dropout
BEGINNINGS = (("row", "uint64_t"), ("first", "uint64_t"), ("low", "uint32_t"), ("high", "uint32_t"))


def input_population(
    name: str, size: int, steps: int, settings: Settings, *, back: bool
) -> Neurons:
    """Return the population of ``size`` channels; ``back``: its weights need a gradient."""
    behind = "_back" if settings.pipeline else ""  # the backward pass is one batch behind
    beginnings = [*BEGINNINGS]
    beginnings += [(f"{n}_back", kind) for n, kind in BEGINNINGS] if back and behind else []
    variables = [Variable(name=n, type=k, access=Access.OF_EXAMPLE) for n, k in beginnings]
    ends = ["", *([behind] if back and behind else [])]
    variables += [Variable(name=f"due{end}", type="int", value=NONE) for end in ends]
    variables += [Variable(name=f"events{end}", type="int") for end in ends]
    channels = np.zeros(settings.batch * size, np.uint32)
    return Neurons(
        name=name,
        size=size,
        sim_code=fill(
            "input",
            none=NONE,
            drop=_drop("step", "low", "high", "events"),
            back=_back(steps, behind) if back else "",
        ),
        threshold="events > 0",
        variables=tuple(variables),
        tables=(
            Table(name="event_step", type="uint16_t", values=np.zeros(1, np.uint16)),
            Table(name="channel_start", type="uint32_t", values=np.zeros(size + 1, np.uint32)),
            Table(name="next", type="uint32_t", values=channels),
            *((Table(name="left", type="uint32_t", values=channels),) if back else ()),
        ),
        parameters=(
            Parameter(name="forward", type="uint8_t"),
            *((Parameter(name="backward", type="uint8_t"),) if back else ()),
            Parameter(name="drop_below", type="uint32_t"),
        ),
    )


def _back(steps: int, behind: str) -> str:
    return fill(
        "input_back",
        last=steps - 1,
        none=NONE,
        row=f"row{behind}",
        first=f"first{behind}",
        due=f"due{behind}",
        events=f"events{behind}",
        cleared=f"events{behind} = 0;" if behind else "",
        drop=_drop("m", f"low{behind}", f"high{behind}", f"events{behind}"),
    )


def _drop(step: str, low: str, high: str, events: str) -> str:
    text = fill("drop", step=step, low=low, high=high, events=events)
    return "".join(f"    {line}\n" for line in text.splitlines())
