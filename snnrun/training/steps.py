"""What a run says of its step before the first epoch: that it is too long for a neuron."""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.backends.interpreter.halving import too_long
from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.notice import Notice
from snnrun.training import advice

STEEP = "Steps of a hundredth are too long as well: let it spike before its upstroke is so steep"


def long_steps(config: Config, program: Program) -> Iterator[Notice]:
    """Yield a notice for each population whose first spikes are others with half steps.

    The settings to try are tried before, for all of these populations.
    """
    concerned = too_long(program, program.dt, program.integrator)
    if not concerned:
        return

    def fits(dt: float, integrator: str) -> bool:
        return not too_long(program, dt, integrator, concerned)

    settings = advice.shorter_step(config, fits), advice.integrator(config, fits)
    what_to_do = advice.trying(*settings) if any(settings) else STEEP
    for index, halves in concerned.items():
        population = program.populations[index].population
        assert population.neuron is not None
        yield Notice(
            what="long step",
            where=population.name,
            message=f"DT_MS={program.dt:g} is long for {population.name} of neuron "
            f"{population.neuron.name}: {halves}. {what_to_do}",
        )
