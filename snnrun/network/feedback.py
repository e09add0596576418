"""What sends derivatives back in a network where only its outputs do, and nothing within it."""

from __future__ import annotations

from dataclasses import replace

from snnrun.errors import ModelError
from snnrun.network.network import Layer, Network, Projection, Way
from snnrun.rules.learning import ADAPTIVE, SYMMETRIC, Feedback
from snnrun.streams import stream


def fed_back(network: Network, feedback: Feedback, rule: str) -> Network:
    """Return ``network`` with projections that send back what ``feedback`` says, and no others.

    ``rule``: the name of the learning rule, for what is wrong.

    Raises:
        ModelError: With symmetric feedback, something learns in a population without a projection
        to the output.
    """
    output = network.layers[-1].population
    hidden = network.layers[:-1]
    symmetric = feedback.kind == SYMMETRIC

    def way(projection: Projection) -> Way:
        leads_out = projection.target == output.name != projection.source
        return Way.BOTH if symmetric and leads_out else Way.FORWARD

    learning = [x.population for x in hidden if _learns(x)]
    if symmetric:
        direct = {p.source for p in network.layers[-1].projections}
        for population in learning:
            if population.name not in direct:
                raise ModelError(
                    f"rule={rule}: population {population.name} has no projection to the output, "
                    "whose weights symmetric feedback takes; use rule.feedback=random or "
                    "rule.feedback=adaptive"
                )
        learning = []
    own = tuple(
        Projection(
            name=_free_name(f"feedback_{population.name}", network),
            source=population.name,
            target=output.name,
            mean=0.0,
            std=feedback.sd,
            trained=feedback.kind == ADAPTIVE,
            rule=rule,
            start=stream(feedback.seed, f"feedback {population.name}").normal(
                0.0, feedback.sd, (population.size, output.size)
            ),
            way=Way.BACK,
        )
        for population in learning
    )
    layers = tuple(
        replace(x, projections=tuple(replace(p, way=way(p)) for p in x.projections))
        for x in network.layers
    )
    return replace(network, layers=layers, feedback=own)


def _learns(layer: Layer) -> bool:
    """Return whether something in a population learns by derivatives."""
    return bool(layer.population.trained) or any(
        (p.trained and p.plastic is None) or (p.delays is not None and p.delays.trained)
        for p in layer.projections
    )


def _free_name(name: str, network: Network) -> str:
    taken = {p.name for p in network.projections}
    while name in taken:
        name += "_"
    return name
