"""Checks a user's own models as the built-in ones are checked.

from snnrun.testing import check_model
print(check_model(my_neuron))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.models.losses import SUM_WEIGH_EXP, Loss
from snnrun.schema import BASE, KEYS
from snnrun.testing.comparison import Comparison, compare
from snnrun.testing.declaration import Finding, loss_findings, neuron_findings
from snnrun.testing.grid import BuildOptions
from snnrun.testing.limits import (
    constant_finding,
    equality_findings,
    propagator_findings,
    step_findings,
)
from snnrun.testing.networks import DURATION, STEPS, loss_parts, make_setup, neuron_parts, values_of
from snnrun.testing.problems import time_scale
from snnrun.testing.report import Report

__all__ = ["BuildOptions", "Report", "check_model"]


def check_model(
    model: Neuron | Loss,
    *,
    values: Mapping[str, float] | None = None,
    dts: Sequence[float] | None = None,
    seed: int = 0,
    options: BuildOptions = BuildOptions(),  # noqa: B008  frozen
) -> Report:
    """Check a neuron or a loss, and return a report that prints as a table.

    A neuron is put into a small network, as hidden layers or, without a threshold, as the output,
    with a projection to each of its ports; a loss is put behind built-in neurons. Checked are the
    declaration, propagators and gradients where time constants are equal or nearly so, and the
    gradients of all weights, delays and parameters: on grids of steps ``dts`` they must approach
    finite differences of an exact event-driven simulation.

    Args:
        model: The declaration.
        values: Parameters of the neuron, or configuration keys of the loss, to check with; others
            have their defaults.
        dts: Steps in ms, the coarsest first; by default three that suit the time constants.
        seed: Of weights and input events.
        options: How the programs are compiled: one for each step, two seconds each.

    Raises:
        ModelError: A check failed; the message is the report. Or the model cannot be used at all.
    """
    given = dict(values or {})
    if isinstance(model, Neuron):
        report = _check_neuron(model, given, dts, seed, options)
    elif isinstance(model, Loss):
        report = _check_loss(model, given, dts, seed, options)
    else:
        raise ModelError(f"check_model takes a Neuron or a Loss, not {model!r}")
    if not report.passed:
        raise ModelError(str(report))
    return report


def _check_neuron(
    neuron: Neuron,
    given: Mapping[str, float],
    dts: Sequence[float] | None,
    seed: int,
    options: BuildOptions,
) -> Report:
    if neuron.discrete:
        raise ModelError(
            f"neuron {neuron.name}: check_model compares gradients with a simulation in continuous "
            "time, and this neuron is declared by its update in discrete time, which is exact as "
            "it stands"
        )
    values = values_of(neuron, given)
    scale = time_scale([(part.neuron, part.values) for part in neuron_parts(neuron, given, 0.1)])
    steps = _steps(dts, scale)
    parts = neuron_parts(neuron, given, steps[0])
    setup = make_setup(parts, SUM_WEIGH_EXP, {}, DURATION * scale, steps[0], seed)
    comparison = compare(setup.problem, setup.candidates, setup.scales, steps, "exact", options)
    findings = [
        *neuron_findings(neuron),
        *propagator_findings(neuron, values),
        *equality_findings(neuron, comparison),
        *step_findings(neuron, comparison),
        constant_finding(comparison, "exact", options),
    ]
    title = f"neuron {neuron.name}: {neuron.meaning}"
    return _report(title, findings, comparison, options)


def _check_loss(
    loss: Loss,
    given: Mapping[str, float],
    dts: Sequence[float] | None,
    seed: int,
    options: BuildOptions,
) -> Report:
    for key in loss.keys:
        if key not in given and not isinstance(KEYS[key].default if key in KEYS else None, float):
            raise ModelError(
                f"loss {loss.name}: there is no number for {key}, which it uses; give it as "
                f"check_model(..., values={{{key!r}: ...}})"
            )
    values = {key: float(given.get(key, _default(key))) for key in loss.keys}
    parts = loss_parts(loss)
    scale = time_scale([(part.neuron, part.values) for part in parts])
    steps = _steps(dts, scale)
    setup = make_setup(parts, loss, values, DURATION * scale, steps[0], seed)
    comparison = compare(setup.problem, setup.candidates, setup.scales, steps, "exact", options)
    title = f"loss {loss.name}: {loss.meaning}"
    return _report(title, loss_findings(loss), comparison, options)


def _report(
    title: str, findings: Sequence[Finding], comparison: Comparison, options: BuildOptions
) -> Report:
    return Report(
        title=title, findings=tuple(findings), comparison=comparison, backend=options.backend
    )


def _default(key: str) -> float:
    return float(KEYS[key].default_of(BASE)) if key in KEYS else float("nan")


def _steps(dts: Sequence[float] | None, scale: float) -> tuple[float, ...]:
    if dts is None:
        return tuple(dt * scale for dt in STEPS)
    if not dts or any(b >= a for a, b in pairwise(dts)) or min(dts) <= 0:
        raise ModelError(f"dts={tuple(dts)}: steps in ms are needed, the coarsest first")
    return tuple(dts)
