"""A Program as one C++ source file: populations, loss, and how the layers are chained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from snnrun.backends.native.optimiser import emit_optimiser, numbers_of
from snnrun.backends.native.population import PopulationEmitter
from snnrun.backends.native.printer import boolean, cxx_name, fill, print_formula, wrapped
from snnrun.backends.native.update import UpdateEmitter
from snnrun.compile.loss import BoundLoss, bind_loss, kernel_of
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program
from snnrun.compile.traces import shares_traces
from snnrun.models.equations import internal, parse_expression, symbol
from snnrun.network.network import Way
from snnrun.version import __version__

REALS = {"float32": "float", "float64": "double"}


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A program as C++.

    ``numbers`` are its constants by name, in the order in which the engine takes them. They are no
    part of the source, so that programs which differ in numbers only are built once.
    """

    source: str
    numbers: Mapping[str, float]


def emit(program: Program, precision: str) -> str:
    """Return the C++ source of ``program`` in ``precision`` (float32 or float64)."""
    return generate(program, precision).source


def generate(program: Program, precision: str) -> Generated:
    """Return ``program`` as C++ in ``precision`` (float32 or float64)."""
    last = len(program.populations) - 1
    times = program.loss.spiking and not program.loss.readout.targets
    emitters = [
        _emitter_of(compiled)(
            compiled,
            timed=times and index == last,
            push=program.push(compiled),
            averaged=program.average_spikes,
        )
        for index, compiled in enumerate(program.populations)
    ]
    populations = "\n".join(emitter.emit() for emitter in emitters)
    formula, plasticity = Struct("Formula"), Struct("Plasticity")
    optimisers = _optimisers(program, precision)
    layers = _layers(program, emitters)
    fields = _formula(program, formula) | {"plasticity": _plasticity(program, plasticity)}
    numbers = all_numbers([*emitters, formula, plasticity, *optimisers])
    source = fill(
        "program",
        version=__version__,
        shape=program.network.shape,
        rule=program.rule.name,
        loss=program.loss.name,
        real=REALS[precision],
        dt=repr(program.dt),
        euler=boolean(program.integrator == "euler"),
        populations=populations,
        steps=program.steps,
        neurons=sum(c.population.size for c in program.populations),
        optimisers="\n".join(optimisers.values()),
        optimiser_of_pairs=list(optimisers)[-1].struct,
        online=_online(program) if program.update_steps else "",
        trains_parameters=boolean(any(c.population.trained for c in program.populations)),
        layers="\n".join(f"    using Layer{i} = {text};" for i, text in enumerate(layers)),
        layer_names=", ".join(f"Layer{i}" for i in range(len(layers))),
        readout=program.loss.readout.kernel,
        output_layer=f"Layer{last}",
        number_names=quoted(numbers),
        **fields,
    )
    return Generated(source=source, numbers=numbers)


def _online(program: Program) -> str:
    """Return what a program has whose weights change while trials run."""
    alike = ", ".join(boolean(shares_traces(c)) for c in program.populations)
    return (
        f"\n    static constexpr int UPDATE_STEPS = {program.update_steps};\n"
        f"    static constexpr bool ALIKE[] = {{{alike}}};  // of layers: one Jacobian for all"
    )


class Struct:
    """A struct whose constants are set when a program is loaded."""

    def __init__(self, name: str) -> None:
        self.struct = name
        self.numbers: dict[str, float] = {}

    def declared(self) -> str:
        """Return its members, and the function that makes one of numbers in their order."""
        names = wrapped(self.numbers)
        values = wrapped(f"v[{i}]" for i in range(len(self.numbers)))
        return fill(
            "numbers",
            struct=self.struct,
            count=len(self.numbers),
            members=f"    double {names};\n" if names else "",
            values=values,
        ).rstrip("\n")


def all_numbers(structs: Iterable[PopulationEmitter | Struct]) -> dict[str, float]:
    """Return the numbers of structs as ``struct.name``, in order."""
    return {f"{s.struct}.{name}": value for s in structs for name, value in s.numbers.items()}


def quoted(names: Iterable[str]) -> str:
    """Return names as a C++ string, one a line."""
    return "".join(f'\n        "{name} "' for name in names) or ' ""'


def _emitter_of(compiled: CompiledPopulation) -> type[PopulationEmitter]:
    return UpdateEmitter if compiled.dynamics.mapped else PopulationEmitter


def _layers(program: Program, emitters: list[PopulationEmitter]) -> list[str]:
    """Return the layers as types; see runtime/layer.hpp."""
    network = program.network
    names = [layer.population.name for layer in network.layers]
    groups = {index: group for group in network.groups for index in group}
    layers = []
    for index, (layer, emitter) in enumerate(zip(network.layers, emitters, strict=True)):
        first, last = groups[index][0], groups[index][-1]
        parts = [emitter.struct, *map(str, (index, first, last, program.steps)), "Plasticity"]
        froms = ""
        for projection in network.into(layer):
            arguments = ["INPUT", "void"]
            if projection.source in names:
                source = names.index(projection.source)
                arguments = [str(source), emitters[source].struct]
            arguments += [str(network.size(projection.source)), str(network.port_of(projection))]
            flags = [projection.trained, projection.synapses is not None, bool(projection.plastic)]
            flags.append(projection.dropout > 0)
            arguments += [boolean(flag) for flag in flags]
            if (delays := projection.delays) is not None:
                arguments += [f"Delay::{delays.kind.name}", str(delays.steps(program.dt))]
                arguments.append(boolean(delays.trained))
            if projection.way is not Way.BOTH:
                arguments += [] if delays else ["Delay::NONE", "0", "false"]
                arguments.append(f"Way::{projection.way.name}")
            froms += f",\n        From<{', '.join(arguments)}>"
        layers.append(f"LayerSpec<{', '.join(parts)}{froms}>")
    return layers


def _plasticity(program: Program, struct: Struct) -> str:
    """Return the constants of the plasticity that projections have, if any."""
    stdp, multiplicative, factor = program.plasticity, False, sp.Integer(1)
    if stdp is not None:
        factor = parse_expression(stdp.factor, {"right", "loss", "punish"}, "third factor")
        factor = factor.subs(symbol("punish"), internal("PUNISH"))
        multiplicative = stdp.bound == "multiplicative"
        struct.numbers |= {
            "A_PLUS": stdp.a_plus,
            "A_MINUS": stdp.a_minus,
            "A_POST": stdp.a_post,
            "DECAY_PLUS": math.exp(-program.dt / stdp.tau_plus),
            "DECAY_MINUS": math.exp(-program.dt / stdp.tau_minus),
            "W_MIN": stdp.w_min,
            "W_MAX": stdp.w_max,
            "MU": stdp.mu,
            "PUNISH": stdp.punish,
        }
    return fill(
        "plasticity",
        title="plasticity of projections, per step of DT where in time"
        if stdp is not None
        else "no projection has a plasticity of its own",
        factor=print_formula(factor, "{}"),
        numbers=struct.declared(),
        multiplicative=boolean(multiplicative),
    )


def _optimisers(program: Program, precision: str) -> dict[Struct, str]:
    """Return the structs of the optimisers, with their code; that of pairs comes last."""
    found = {}
    updates = {"Optimiser": program.optimiser, "OptimiserOfPairs": program.optimiser_of_pairs}
    for name, update in updates.items():
        if update is not None:
            struct = Struct(name)
            struct.numbers |= numbers_of(update.rounded(precision))
            found[struct] = emit_optimiser(update, name, struct.declared())
    return found


def _formula(program: Program, struct: Struct) -> dict[str, str]:
    loss, bound = program.loss, bind_loss(program)
    keys = bound.numbers
    used: set[sp.Symbol] = set()

    def of_kind(expression: sp.Expr) -> str:
        """Return code for numbers of the kind X: the constants are doubles."""
        used.update(expression.free_symbols)
        kinds = {s: sp.Symbol(f"Number<X>({cxx_name(s)})") for s in keys}
        return print_formula(expression.xreplace(kinds), "Number<X>({})")

    def plain(expression: sp.Expr) -> str:
        used.update(expression.free_symbols)
        return print_formula(expression, "{}")

    fields = {
        "loss_title": f"{loss.name}: {loss.meaning}",
        "silent_excluded": boolean(loss.silent_excluded),
        "duration": repr(program.duration),
        "score": of_kind(bound.score),
        "score_slope": of_kind(bound.score_slope),
        "label_term": of_kind(bound.label_term),
        "label_term_slope": of_kind(bound.label_term_slope),
        "integrand": of_kind(bound.integrand),
        "integrand_slope": of_kind(bound.integrand_slope),
        "weight": plain(bound.weight),
        "silent_push": plain(bound.silent_push),
    }
    lines = []
    if program.loss.readout.courses:
        lines = [
            f"double cost([[maybe_unused]] double d) const {{ return {plain(bound.cost)}; }}",
            f"double cost_slope([[maybe_unused]] double d) const {{ return "
            f"{plain(bound.cost_slope)}; }}",
        ]
    if bound.lags:
        cost, slope, factor = map(plain, (bound.lag_cost, bound.lag_slope, bound.silent_factor))
        lines = [
            f"double lag_cost([[maybe_unused]] double d) const {{ return {cost}; }}",
            f"double lag_slope([[maybe_unused]] double d) const {{ return {slope}; }}",
            f"double silent_factor() const {{ return {factor}; }}",
        ]
    struct.numbers |= {cxx_name(s): value for s, value in keys.items() if s in used}
    struct.numbers |= _of_readout(program, bound)
    fields |= _window(program, struct)
    own = "".join(f"\n    {line}" for line in lines)
    return fields | {"own_part": own, "numbers": struct.declared()}


def _window(program: Program, struct: Struct) -> dict[str, str]:
    """Return which steps count: that there is a window is structure, its edges are numbers."""
    if program.window is None:
        every = {"first": "0", "last": str(program.steps), "counts": "true"}
        return every | {"share": "DT / DURATION"}
    first, last = program.window
    struct.numbers |= {"WINDOW_FIRST": first, "WINDOW_LAST": last}
    return {
        "first": "int(WINDOW_FIRST)",
        "last": "int(WINDOW_LAST)",
        "counts": "n >= WINDOW_FIRST && n < WINDOW_LAST",
        "share": "1.0 / (WINDOW_LAST - WINDOW_FIRST)",
    }


def _of_readout(program: Program, bound: BoundLoss) -> dict[str, float]:
    """Return constants that losses with the readout of this one have."""
    readout = program.loss.readout
    if readout.targets:
        kernel = kernel_of(program)
        keep = {"KEEP_DECAY": kernel.decay, "KEEP_RISE": kernel.rise}  # in a step
        return {"NORM": kernel.norm, **{n: math.exp(-program.dt / tau) for n, tau in keep.items()}}
    if "accumulator_weight" in readout.fields:
        return bound.accumulator
    return {}
