"""A Program with an online rule as one C++ source file: populations, rule, chain of layers."""

from __future__ import annotations

from snnrun.backends.native.emit import REALS, Generated, Struct, all_numbers, quoted
from snnrun.backends.native.population import PopulationEmitter
from snnrun.backends.native.printer import boolean, fill
from snnrun.backends.online import delay_steps, lag_steps, numbers_of, online_of
from snnrun.compile.program import Program
from snnrun.rules.learning import Online
from snnrun.version import __version__


class OnlinePopulationEmitter(PopulationEmitter):
    """Writes a population together with the threshold that the surrogate derivative needs."""

    def _perturbed(self) -> str:
        return fill("level", level=self.body.returned(self.steps.threshold))


def generate_online(program: Program, precision: str) -> Generated:
    """Return ``program`` as C++ in ``precision`` (float32 or float64)."""
    rule = online_of(program)
    emitters = [OnlinePopulationEmitter(c, timed=False) for c in program.populations]
    layers, rows = [], program.network.input.size
    for index, emitter in enumerate(emitters):
        size = emitter.compiled.population.size
        last = boolean(index == len(emitters) - 1)
        arguments = f"{emitter.struct}, Rule, {rows}, {lag_steps(program, index)}, {last}"
        layers.append(f"    using Layer{index} = OnlineSpec<{arguments}>;")
        rows = size
    populations = "\n".join(emitter.emit() for emitter in emitters)
    struct = Struct("OnlineRule")
    struct.numbers |= numbers_of(program)
    numbers = all_numbers([*emitters, struct])
    structure = "\n".join(f"    static constexpr {line};" for line in _structure(program, rule))
    source = fill(
        "online",
        version=__version__,
        shape=program.network.shape,
        rule=program.rule.name,
        real=REALS[precision],
        dt=repr(program.dt),
        euler=boolean(program.integrator == "euler"),
        populations=populations,
        constants=f"{structure}\n{struct.declared()}",
        number_names=quoted(numbers),
        steps=program.steps,
        layers="\n".join(layers),
        layer_names=", ".join(f"Layer{i}" for i in range(len(layers))),
    )
    return Generated(source=source, numbers=numbers)


def _structure(program: Program, rule: Online) -> list[str]:
    switches = {
        "SYMMETRIC": rule.feedback == "symmetric",
        "ALIGNED": rule.update_aligned,
        "RESETS": rule.reset_state_per_trial,
        "HET": rule.het_rho != 0,
        "HET_ERROR_SCALED": rule.het_error_scaled,
    }
    counts = {
        "DELAY": delay_steps(rule, program.dt),
        "UPDATE_STEPS": round(rule.update_ms / program.dt),
        "BURN_IN_STEPS": round(rule.burn_in_ms / program.dt),
    }
    lines = [f"bool {name} = {boolean(value)}" for name, value in switches.items()]
    return lines + [f"int {name} = {value}" for name, value in counts.items()]
