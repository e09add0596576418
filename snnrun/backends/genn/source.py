"""The input population: it reads the events of its examples from tables on the device.

A step of GeNN delivers the spikes of the step before, so channels emit the events of step s in
GeNN's step s, and they arrive in step s of the trial, which is GeNN's step s + 1. On the way back
the events of step m are returned while the other populations are in step m.

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
    variables += [
        Variable(name="emitted", type="int"),
        Variable(name="next", type="uint32_t"),
        Variable(name="end", type="uint32_t"),
        Variable(name="due", type="int", value=NONE),
    ]
    text = ""
    if back:
        variables += [
            Variable(name="returned", type="int"),
            Variable(name="left", type="uint32_t"),
            Variable(name="stop", type="uint32_t"),
            Variable(name="due_back", type="int", value=NONE),
        ]
        drop = _drop("m", f"low{behind}", f"high{behind}", "returned")
        text = fill(
            "input_back", last=steps - 1, none=NONE, row=f"row{behind}", first=f"first{behind}",
            drop=drop,
        )  # fmt: skip
    return Neurons(
        name=name,
        size=size,
        sim_code=fill("input", none=NONE, drop=_drop("step", "low", "high", "emitted"), back=text),
        threshold="emitted > 0",
        variables=tuple(variables),
        tables=(
            Table(name="event_step", type="uint16_t", values=np.zeros(1, np.uint16)),
            Table(name="channel_start", type="uint32_t", values=np.zeros(size + 1, np.uint32)),
        ),
        parameters=(
            Parameter(name="forward", type="uint8_t"),
            *((Parameter(name="backward", type="uint8_t"),) if back else ()),
            Parameter(name="drop_below", type="uint32_t"),
        ),
    )


def _drop(step: str, low: str, high: str, events: str) -> str:
    text = fill("drop", step=step, low=low, high=high, events=events)
    return "".join(f"        {line}\n" for line in text.splitlines())
