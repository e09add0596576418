"""What a check of a model found."""

from __future__ import annotations

from dataclasses import dataclass

from snnrun.testing.comparison import LIMIT, Comparison
from snnrun.testing.declaration import Finding


@dataclass(frozen=True, kw_only=True)
class Report:
    """The findings of a check; ``print`` it."""

    title: str
    findings: tuple[Finding, ...]
    comparison: Comparison
    backend: str = "native"

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return self.comparison.passed and all(finding.passed for finding in self.findings)

    def __str__(self) -> str:
        width = max(len(finding.name) for finding in self.findings)
        lines = [self.title]
        for finding in self.findings:
            lines.append(f"  {finding.name:{width}}  {_verdict(finding.passed)}  {finding.text}")
        comparison = self.comparison
        problem, counts = comparison.problem, comparison.exact.counts
        spikes = ", ".join(
            f"{layer.population.name} {count.sum()}"
            for layer, count in zip(problem.network.layers, counts, strict=True)
        )
        lines += [
            f"  gradients of {problem.network.shape}, loss {problem.loss.name}, "
            f"{problem.duration:g} ms, spikes: {spikes}",
            f"  {self.backend} backend in float64 against finite differences of an exact "
            "event-driven simulation:",
            f"  relative differences, to fall with the step (ms) to below {LIMIT:g}",
        ]
        lines += [f"    {line}" for line in comparison.lines()]
        lines.append("passed" if self.passed else "FAILED")
        return "\n".join(lines)


def _verdict(passed: bool) -> str:
    return "ok    " if passed else "FAILED"
