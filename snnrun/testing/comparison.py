"""Gradients of the grid against central differences of the exact simulation, for several steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snnrun.datasets.spikes import MAX_INDEX
from snnrun.errors import ModelError
from snnrun.testing.differences import Differences, finite_differences
from snnrun.testing.equations import Array
from snnrun.testing.exact import Problem, simulate
from snnrun.testing.grid import BuildOptions, Grid, GridResult, build_grids
from snnrun.testing.problems import Scale, ranked

LIMIT = 0.01  # largest relative difference at the finest step
NEAR = 0.05  # a difference of that size may become small with a finer step
FINER = 5  # by so much it then is
GAP = 5  # finest steps that should lie between two events
SMALL = 1e-3  # differences below this need not fall any more
TRIES = 12  # candidates whose spikes are counted on the grid

# The loss changes by so little if a tensor's values change by their own size: as far as differences
# can tell, the gradient is then 0.
NOTHING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Row:
    """The comparison of one tensor: relative differences, one per step of the grid."""

    name: str
    errors: tuple[float, ...]
    compared: int
    skipped: int  # entries at which a spike count changes: no derivative to compare with
    zero: bool  # the exact gradient is 0 in every entry

    @property
    def passed(self) -> bool:
        """Whether the differences become small as the step does.

        A spike lies up to one step late, so that the error is of first order. Errors of several
        spikes may cancel on a coarse grid, so that only the last step's share of the fall counts.
        """
        *before, last = self.errors
        falls = last <= SMALL or not before or last <= before[-1] / 2
        return bool(self.compared and np.isfinite(last) and last <= LIMIT and falls)

    @property
    def undecided(self) -> bool:
        """Whether a finer grid may yet show that the differences become small."""
        return not self.passed and bool(self.compared and self.errors[-1] <= NEAR)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of a comparison; ``grids`` are the programs that were built for it."""

    problem: Problem
    grids: tuple[Grid, ...]
    exact: Differences
    rows: tuple[Row, ...]  # the loss first
    counts_differ: tuple[float, ...]  # steps (ms) in which some neuron spikes more or less often

    @property
    def dts(self) -> tuple[float, ...]:
        """Steps of the grids, ms."""
        return tuple(grid.dt for grid in self.grids)

    @property
    def vacuous(self) -> bool:
        """Whether weights or delays of some projection have no influence: nothing was compared."""
        tables = self.problem.weights.keys() | self.problem.delays.keys()
        return any(row.zero and row.name in tables for row in self.rows)

    @property
    def agrees(self) -> bool:
        """Whether every tensor converged, and every neuron spikes as often as it should."""
        return self.dts[-1] not in self.counts_differ and all(row.passed for row in self.rows)

    @property
    def passed(self) -> bool:
        """Whether all agrees, and there was something to compare of every projection."""
        return self.agrees and not self.vacuous

    @property
    def undecided(self) -> bool:
        """Whether it takes a finer grid to tell if the tensors that failed converge."""
        failed = [row for row in self.rows if not row.passed]
        return bool(failed) and all(row.undecided for row in failed)

    def lines(self) -> list[str]:
        """Return the comparison as a table."""
        width = max(len(row.name) for row in self.rows)
        steps = "".join(f"{f'dt={dt:g}':>12}" for dt in self.dts)
        lines = [f"{'':{width}}{steps}{'compared':>10}{'skipped':>9}"]
        for row in self.rows:
            errors = "".join(f"{error:12.1e}" for error in row.errors)
            verdict = ("  no influence" if row.zero else "") if row.passed else "  FAILED"
            lines.append(f"{row.name:{width}}{errors}{row.compared:10d}{row.skipped:9d}{verdict}")
        for dt in self.counts_differ:
            verdict = "FAILED: " if dt == self.dts[-1] else ""
            text = "some neurons do not spike as often as in the exact simulation"
            lines.append(f"{verdict}with dt={dt:g} {text}")
        if self.vacuous:
            what = "weights or delays without influence on the loss"
            lines.append(f"FAILED: {what}: nothing to compare")
        return lines


def compare(
    template: Problem,
    candidates: Mapping[str, Array],
    scales: Sequence[Scale],
    dts: Sequence[float],
    integrator: str = "exact",
    options: BuildOptions = BuildOptions(),  # noqa: B008  frozen
) -> Comparison:
    """Compare the gradients of ``template`` with weights that are chosen from ``candidates``.

    Args:
        template: The problem; its weights are not used.
        candidates: projection -> [C, ...].
        scales: Of each layer's neuron.
        dts: Steps of the grid, ms, the coarsest first.

    Raises:
        ModelError: No candidate makes the network spike.
    """
    order = ranked(template, candidates, scales, gap=dts[-1] * GAP)
    if not order:
        raise ModelError(
            "no weights were found with which every layer of the test network spikes a few times "
            "per neuron, so its gradients cannot be checked; look at thresholds, resets and time "
            "constants"
        )
    grids = build_grids(template, dts, integrator, options)
    problem, results = _same_spikes(template, candidates, order[:TRIES], grids)
    exact = finite_differences(problem, list(results[0].gradients))
    comparison = _comparison(problem, grids, results, exact)
    finer = dts[-1] / FINER
    if not comparison.undecided or problem.duration > finer * MAX_INDEX:
        return comparison
    grids += build_grids(template, [finer], integrator, options)
    return _comparison(problem, grids, [*results, grids[-1].run(problem)], exact)


def _comparison(
    problem: Problem, grids: tuple[Grid, ...], results: Sequence[GridResult], exact: Differences
) -> Comparison:
    rows = [_loss_row(results, exact)]
    rows += [_row(name, results, exact) for name in exact.gradients]
    counts_differ = tuple(
        grid.dt
        for grid, result in zip(grids, results, strict=True)
        if any((a != b).any() for a, b in zip(result.counts, exact.counts, strict=True))
    )
    return Comparison(
        problem=problem, grids=grids, exact=exact, rows=tuple(rows), counts_differ=counts_differ
    )


def _same_spikes(
    template: Problem, candidates: Mapping[str, Array], order: Sequence[int], grids: Sequence[Grid]
) -> tuple[Problem, list[GridResult]]:
    """Return the first candidate whose neurons spike as often on every grid as exactly.

    On a coarse grid two events may swap, and with them a spike come or go. If that happens in all
    candidates, the first one is returned, and the comparison says so.
    """
    first = None
    for c in order:
        problem = replace(template, weights={name: w[c] for name, w in candidates.items()})
        counts = np.concatenate(simulate(problem, {}).counts, axis=1)[0]
        results = [grid.run(problem) for grid in grids]
        first = first or (problem, results)
        if all((np.concatenate(result.counts) == counts).all() for result in results):
            return problem, results
    assert first is not None
    return first


def _loss_row(results: Sequence[GridResult], exact: Differences) -> Row:
    size = max(abs(exact.loss), NOTHING)
    errors = tuple(abs(result.loss - exact.loss) / size for result in results)
    return Row(name="loss", errors=errors, compared=1, skipped=0, zero=False)


def _row(name: str, results: Sequence[GridResult], exact: Differences) -> Row:
    numeric = exact.gradients[name]
    known = ~np.isnan(numeric)
    length, nothing = float(np.linalg.norm(numeric[known])), NOTHING / exact.scales[name]
    size = max(length, nothing)
    errors = tuple(
        float(np.linalg.norm((result.gradients[name] - numeric)[known])) / size
        for result in results
    )
    return Row(
        name=name,
        errors=errors,
        compared=int(known.sum()),
        skipped=int((~known).sum()),
        zero=bool(length < nothing),
    )
