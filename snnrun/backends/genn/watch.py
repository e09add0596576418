"""Which class writes which readout into a GeNN model."""

from __future__ import annotations

from snnrun.backends.genn.first_spike import FirstSpike, FirstSpikeLag
from snnrun.backends.genn.readout import (
    EachStep,
    InputWeightedSum,
    Maximum,
    OfOutput,
    WeightedSum,
)
from snnrun.backends.genn.settings import Settings
from snnrun.compile.program import Program
from snnrun.models.losses import Readout

READOUTS: dict[Readout, type[OfOutput]] = {
    Readout.WEIGHTED_SUM: WeightedSum,
    Readout.INPUT_WEIGHTED_SUM: InputWeightedSum,
    Readout.MAXIMUM: Maximum,
    Readout.EACH_STEP: EachStep,
    Readout.FIRST_SPIKE: FirstSpike,
    Readout.FIRST_SPIKE_LAG: FirstSpikeLag,
}


def watch(program: Program, settings: Settings) -> OfOutput:
    """Return what the program's loss adds to the output."""
    return READOUTS[program.loss.readout](program, settings)
