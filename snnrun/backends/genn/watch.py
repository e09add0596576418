"""Which class writes which readout into a GeNN model."""

from __future__ import annotations

from snnrun.backends.genn.first_spike import FirstSpike, FirstSpikeLag
from snnrun.backends.genn.potential import (
    EachStep,
    InputWeightedSum,
    Integral,
    Maximum,
    WeightedSum,
)
from snnrun.backends.genn.readout import OfOutput
from snnrun.backends.genn.settings import Settings
from snnrun.compile.program import Program

KERNELS: dict[str, type[OfOutput]] = {
    kernel.__name__: kernel
    for kernel in (
        WeightedSum,
        InputWeightedSum,
        Integral,
        Maximum,
        EachStep,
        FirstSpike,
        FirstSpikeLag,
    )
}


def watch(program: Program, settings: Settings) -> OfOutput:
    """Return what the program's loss adds to the output."""
    return KERNELS[program.loss.readout.kernel](program, settings)
