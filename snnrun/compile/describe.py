"""A population and its projections as text, for people to read."""

from __future__ import annotations

from snnrun.compile.population import CompiledPopulation
from snnrun.models.losses import Loss
from snnrun.network.network import Layer, Projection


def describe_layer(layer: Layer, compiled: CompiledPopulation) -> list[str]:
    """Return its equations, what is derived from them, and the projections that end in it."""
    dynamics, population = compiled.dynamics, layer.population
    neuron = dynamics.neuron
    grid = f" in shape {list(population.grid)}" if population.grid else ""
    lines = [f"population {population.name}: {population.size} x {neuron.name}{grid}"]
    lines += [f"    {line}" for line in neuron.system.lines]
    if compiled.smooth:
        lines.append(f"    steps by {compiled.integrator}")
    if neuron.count is not None:
        lines.append(f"    {neuron.count} spikes a step, at most {population.most_spikes}")
    if population.noise > 0:
        lines.append(f"    in training: noise of {population.noise:g} sqrt(dt) normal in each step")
    if population.spike_dropout > 0:
        lines.append(
            f"    in training: kept from spiking with probability {population.spike_dropout:g}"
        )
    if compiled.step_back is not None:
        lines += compiled.step_back.describe()
    if dynamics.jump is not None:
        lines.append(f"    slope at a spike: {dynamics.jump.slope}")
        lines.append(f"    drive of a spike: ({dynamics.jump.strength}) / slope")
        for state, value in dynamics.jump.adjoint.items():
            lines.append(f"    lam_{state} <- {value}")
    lines += [f"    {_describe_projection(projection)}" for projection in layer.projections]
    return lines


def describe_loss(loss: Loss, window: tuple[int, int] | None, dt: float) -> str:
    """Return a loss as a line of text; ``window`` is that of a Program."""
    when = ""
    if window is not None:
        first, last = (edge * dt for edge in window)
        when = f", from {first:g} to {last:g} ms of the trial"
    return f"loss {loss.name}: {loss.meaning}{when}"


def _describe_projection(projection: Projection) -> str:
    parts = [
        f"{projection.name} from {projection.source}",
        ("trained" if projection.trained else "fixed")
        + (f" by {projection.rule}" if projection.plastic else ""),
    ]
    if (synapses := projection.synapses) is not None:
        weights = f"{synapses.count:,} weight{'' if synapses.count == 1 else 's'}"
        shared = f" that share {weights}" if synapses.shared else ""
        kind = f"{projection.connectivity} of " if projection.connectivity else ""
        parts.append(f"{kind}{len(synapses.pre):,} synapses{shared}")
    if projection.port:
        parts.append(f"port {projection.port}")
    if projection.sign:
        parts.append(f"weights {'>=' if projection.sign > 0 else '<='} 0")
    if (delays := projection.delays) is not None:
        low, high = float(delays.start.min()), float(delays.start.max())
        start = f"{low:.4g}" if low == high else f"{low:.3g} to {high:.3g}"
        learned = f", trained within 0 to {delays.most:g} ms" if delays.trained else ""
        parts.append(f"{delays.kind.value} delays of {start} ms{learned}")
    if projection.dropout:
        parts.append(f"in training: dropped with probability {projection.dropout:g}")
    return ", ".join(parts)
