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

KEYS = ("scale", "window", "width", "dampening")


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """A surrogate derivative.

    Args:
        name: What ``rule.surrogate`` calls it.
        derivative: ds/dx, an expression of ``x``, the state's distance above the threshold, of
            ``threshold``, the value to be reached, and of the keys.
        low, high: Expressions of the keys: the derivative is 0 for x < low and for x > high.
        keys: Of ``scale``, ``window``, ``width`` and ``dampening`` those that the expressions use,
            with their defaults; the options ``rule.scale``, ... replace them.
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
                    f"rule.{', rule.'.join(KEYS[:-1])} and rule.{KEYS[-1]}"
                )


def _keys(**defaults: float) -> Mapping[str, float]:
    return MappingProxyType(defaults)


FAST_SIGMOID = Surrogate(
    name="fast_sigmoid",
    derivative="1 / (scale * abs(x) + 1)**2",
    keys=_keys(scale=10.0),
    meaning="SuperSpike's: derivative of a fast sigmoid, 1 on the threshold",
    source="Zenke & Ganguli 2018, Neural Comput 30:1514, eq. 6; the code of Neftci et al. 2019 has "
    "scale 100, with which spoken digits were learned more slowly here than with 10",
)
SIGMOID = Surrogate(
    name="sigmoid",
    derivative="scale * exp(-scale * abs(x)) / (1 + exp(-scale * abs(x)))**2",
    keys=_keys(scale=10.0),
    meaning="derivative of a sigmoid, scale / 4 on the threshold",
    source="Zenke & Vogels 2021, Neural Comput 33:899",
)
ARCTAN = Surrogate(
    name="arctan",
    derivative=f"scale / 2 / (1 + ({math.pi / 2!r} * scale * x)**2)",
    keys=_keys(scale=2.0),
    meaning="derivative of an arc tangent, scale / 2 on the threshold",
    source="Fang et al. 2021, ICCV, arXiv 2007.05785",
)
TRIANGULAR = Surrogate(
    name="triangular",
    derivative="dampening * (1 - scale * abs(x))",
    low="-1 / scale",
    high="1 / scale",
    keys=_keys(scale=1.0, dampening=1.0),
    meaning="triangle of height dampening, which ends 1 / scale from the threshold",
    source="Esser et al. 2016, PNAS 113:11441, dampening 1; Bellec et al. 2018, NeurIPS 31, and "
    "2020, Nat Commun 11:3625, dampening 0.3 / threshold and scale 1 / threshold",
)
PIECEWISE_LINEAR = Surrogate(
    name="piecewise_linear",
    derivative="1 / threshold",
    low="-window",
    keys=_keys(window=0.5),
    meaning="1 / threshold from a window below the threshold on, as of a linear spike count",
    source="rockpool 3.1, StepPWL",
)
_NORMAL = 1 / math.sqrt(2 * math.pi)  # height of the normal distribution
GAUSSIAN = Surrogate(
    name="gaussian",
    derivative=f"dampening * {_NORMAL!r} / width * exp(-x**2 / (2 * width**2))",
    keys=_keys(width=0.5, dampening=1.0),
    meaning="density of a normal distribution, whose standard deviation is width",
    source="Yin, Corradi & Bohte 2020, ICONS, arXiv 2005.11633",
)
MULTI_GAUSSIAN = Surrogate(  # (1 + h) N(0, width) - h N(width, s width) - h N(-width, s width)
    name="multi_gaussian",
    derivative=f"dampening * {_NORMAL!r} / width * (1.15 * exp(-x**2 / (2 * width**2))"
    " - 0.15 / 6 * exp(-(x - width)**2 / (72 * width**2))"
    " - 0.15 / 6 * exp(-(x + width)**2 / (72 * width**2)))",
    keys=_keys(width=0.5, dampening=0.5),
    meaning="normal density less 0.15 of two that are 6 times as wide and shifted by width to "
    "either side, so that it is negative far from the threshold",
    source="Yin, Corradi & Bohte 2021, Nat Mach Intell 3:905, h = 0.15 and s = 6; width 0.5 and "
    "dampening 0.5 are lens and gamma of its code",
)
EXPONENTIAL = Surrogate(
    name="exponential",
    derivative="dampening * scale / 2 * exp(-scale * abs(x))",
    keys=_keys(scale=5.0, dampening=0.4),
    meaning="SLAYER's: density of a Laplace distribution, dampening scale / 2 on the threshold",
    source="Shrestha & Orchard 2018, NeurIPS 31, arXiv 1810.08646; scale 5 and dampening 0.4 of "
    "Baronig et al. 2025, doi:10.1038/s41467-025-60878-z, alpha and c of its code",
)

SURROGATES = {
    surrogate.name: surrogate
    for surrogate in (
        FAST_SIGMOID,
        SIGMOID,
        ARCTAN,
        TRIANGULAR,
        PIECEWISE_LINEAR,
        GAUSSIAN,
        MULTI_GAUSSIAN,
        EXPONENTIAL,
    )
}


@dataclass(frozen=True, kw_only=True)
class SpikeDerivative:
    """A surrogate with the values of its keys, and which resets count as constants.

    ``values`` replace the surrogate's defaults. ``detach_reset`` is for all states, or names those
    whose reset is detached; None: that of the state on the threshold is.
    """

    surrogate: Surrogate = FAST_SIGMOID
    values: Mapping[str, float] = field(default_factory=dict)
    detach_reset: bool | tuple[str, ...] | None = True

    def detaches(self, state: str, on_threshold: str | None) -> bool:
        """Return whether the reset of a state counts as a constant.

        ``on_threshold``: the state that meets the neuron's threshold.
        """
        chosen = self.detach_reset
        if chosen is None:
            return state == on_threshold
        return chosen if isinstance(chosen, bool) else state in chosen
