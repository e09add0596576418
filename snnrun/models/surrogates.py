"""The built-in surrogate derivatives: what stands for the derivative of a spike by the potential.

A neuron spikes in a step where the distance x = X - threshold is not negative: s = [x >= 0], whose
derivative is 0 almost everywhere. Walking back, ds/dx is taken to be an expression of x instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from snnrun.errors import ModelError

KEYS = ("scale", "window")


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """A surrogate derivative.

    Args:
        name: What ``rule.surrogate`` calls it.
        derivative: ds/dx, an expression of ``x``, the state's distance above the threshold, of
            ``threshold``, the value to be reached, and of the keys.
        low, high: Expressions of the keys: the derivative is 0 for x < low and for x > high.
        keys: Of ``scale`` and ``window`` those that the expressions use, with their defaults; the
            options ``rule.scale`` and ``rule.window`` replace them.
        meaning: One line.
        source: The publication.

    Raises:
        ModelError: A key is not one of these. Expressions are read where they are compiled.
    """

    name: str
    derivative: str
    low: str | None = None
    high: str | None = None
    keys: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    meaning: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for key in self.keys:
            if key not in KEYS:
                raise ModelError(
                    f"surrogate {self.name}: key {key!r} has no option; there are "
                    f"rule.{' and rule.'.join(KEYS)}"
                )


def _scaled(default: float) -> Mapping[str, float]:
    return MappingProxyType({"scale": default})


FAST_SIGMOID = Surrogate(
    name="fast_sigmoid",
    derivative="1 / (scale * abs(x) + 1)**2",
    keys=_scaled(10.0),
    meaning="derivative of a fast sigmoid, 1 on the threshold",
    source="Zenke & Ganguli 2018, Neural Comput 30:1514, eq. 6; the code of Neftci et al. 2019 has "
    "scale 100, with which spoken digits were learned more slowly here than with 10",
)
SIGMOID = Surrogate(
    name="sigmoid",
    derivative="scale * exp(-scale * abs(x)) / (1 + exp(-scale * abs(x)))**2",
    keys=_scaled(10.0),
    meaning="derivative of a sigmoid, scale / 4 on the threshold",
    source="Zenke & Vogels 2021, Neural Comput 33:899",
)
ARCTAN = Surrogate(
    name="arctan",
    derivative=f"scale / 2 / (1 + ({math.pi / 2!r} * scale * x)**2)",
    keys=_scaled(2.0),
    meaning="derivative of an arc tangent, scale / 2 on the threshold",
    source="Fang et al. 2021, ICCV, arXiv 2007.05785",
)
TRIANGULAR = Surrogate(
    name="triangular",
    derivative="1 - scale * abs(x)",
    low="-1 / scale",
    high="1 / scale",
    keys=_scaled(1.0),
    meaning="triangle of height 1, which ends 1 / scale from the threshold",
    source="Esser et al. 2016, PNAS 113:11441; Bellec et al. 2018, NeurIPS 31",
)
PIECEWISE_LINEAR = Surrogate(
    name="piecewise_linear",
    derivative="1 / threshold",
    low="-window",
    keys=MappingProxyType({"window": 0.5}),
    meaning="1 / threshold from a window below the threshold on, as of a linear spike count",
    source="rockpool 3.1, StepPWL",
)

SURROGATES = {
    surrogate.name: surrogate
    for surrogate in (FAST_SIGMOID, SIGMOID, ARCTAN, TRIANGULAR, PIECEWISE_LINEAR)
}


@dataclass(frozen=True, kw_only=True)
class SpikeDerivative:
    """A surrogate with the values of its keys, and whether resets count as constants.

    ``values`` replace the surrogate's defaults.
    """

    surrogate: Surrogate = FAST_SIGMOID
    values: Mapping[str, float] = field(default_factory=dict)
    detach_reset: bool = True
