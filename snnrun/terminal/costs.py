"""What a network costs (snnrun.costs), in words."""

from __future__ import annotations

from collections.abc import Mapping

from snnrun.numbers import percent, rate

OF_PROJECTION = "effective_operations/"
NAMES = (
    *("footprint", "connection_sparsity", "activation_sparsity", "dense_operations"),
    *("effective_macs", "effective_acs", "effective_operations", "membrane_updates"),
    *("memory_traffic", "energy", "memory_energy", "activation_sparsity_by_population"),
)


def is_cost(name: str) -> bool:
    """Return whether a figure of a test is one of costs."""
    return name.partition("/")[0] in NAMES


def in_short(figures: Mapping[str, float]) -> str:
    """Return the operations and the energy of a test in one line; empty where none are known."""
    if "effective_acs" not in figures:
        return ""
    return f"{_operations(figures)} per example; {_joule(figures['energy'])} by the model"


def told(figures: Mapping[str, float]) -> list[str]:
    """Return lines about all costs of a test; none where they are not known."""
    if "effective_acs" not in figures:
        return []
    parts = [
        f"{name.removeprefix(OF_PROJECTION)} {rate(value)}"
        for name, value in figures.items()
        if name.startswith(OF_PROJECTION)
    ]
    sparse = f"connections {percent(figures['connection_sparsity'])}"
    if "activation_sparsity" in figures:
        sparse = f"activations {percent(figures['activation_sparsity'])}, {sparse}"
    moved, held = rate(figures["memory_traffic"]), rate(figures["footprint"])
    return [
        f"{_operations(figures)} of {rate(figures['dense_operations'])} dense operations per "
        f"example ({', '.join(parts)}), {rate(figures['membrane_updates'])} membrane updates",
        f"zeros: {sparse}",
        f"memory: footprint {held}B, {moved}B read and written per example",
        f"energy by the model: {_joule(figures['energy'])} per example, "
        f"{_joule(figures['memory_energy'])} of it for memory",
    ]


def _operations(figures: Mapping[str, float]) -> str:
    macs, acs = figures["effective_macs"], figures["effective_acs"]
    return f"{rate(macs)} MACs and {rate(acs)} ACs" if macs else f"{rate(acs)} ACs"


def _joule(nanojoule: float) -> str:
    """Return an energy with a fitting unit."""
    for unit in ("nJ", "uJ"):
        if nanojoule < 999.5:
            return f"{nanojoule:.3g} {unit}"
        nanojoule /= 1000
    return f"{nanojoule:.3g} mJ"
