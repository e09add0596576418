"""A Program as one C++ source file: populations, loss, and how the layers are chained."""

from __future__ import annotations

import math

import sympy as sp

from snnrun.backends.native.population import PopulationEmitter
from snnrun.backends.native.printer import boolean, fill, print_formula
from snnrun.backends.native.update import UpdateEmitter
from snnrun.compile.loss import BoundLoss, bind_loss, kernel_of
from snnrun.compile.program import CompiledPopulation, Program
from snnrun.models.losses import Readout
from snnrun.network.network import Layer
from snnrun.version import __version__

READOUTS = {
    Readout.WEIGHTED_SUM: "WeightedSum",
    Readout.INPUT_WEIGHTED_SUM: "InputWeightedSum",
    Readout.MAXIMUM: "Maximum",
    Readout.EACH_STEP: "EachStep",
    Readout.FIRST_SPIKE: "FirstSpike",
    Readout.SPIKE_TRAIN: "SpikeTrain",
    Readout.FIRST_SPIKE_LAG: "FirstSpikeLag",
}
REALS = {"float32": "float", "float64": "double"}


def emit(program: Program, precision: str) -> str:
    """Return the C++ source of ``program`` in ``precision`` (float32 or float64)."""
    last = len(program.populations) - 1
    times = program.loss.spiking and program.loss.readout is not Readout.SPIKE_TRAIN
    emitters = [
        _emitter_of(compiled)(
            compiled,
            timed=times and index == last,
            push=program.push(compiled),
            averaged=program.average_spikes,
        )
        for index, compiled in enumerate(program.populations)
    ]
    layers = _layers(program, emitters)
    return fill(
        "program",
        version=__version__,
        shape=program.network.shape,
        rule=program.rule.name,
        loss=program.loss.name,
        real=REALS[precision],
        dt=repr(program.dt),
        euler=boolean(program.integrator == "euler"),
        populations="\n".join(emitter.emit() for emitter in emitters),
        steps=program.steps,
        plasticity=_plasticity(program),
        neurons=sum(c.population.size for c in program.populations),
        trains_parameters=boolean(any(c.population.trained for c in program.populations)),
        layers="\n".join(f"    using Layer{i} = {text};" for i, text in enumerate(layers)),
        layer_names=", ".join(f"Layer{i}" for i in range(len(layers))),
        readout=READOUTS[program.loss.readout],
        output_layer=f"Layer{last}",
        **_formula(program),
    )


def _emitter_of(compiled: CompiledPopulation) -> type[PopulationEmitter]:
    return UpdateEmitter if compiled.dynamics.neuron.discrete else PopulationEmitter


def _layers(program: Program, emitters: list[PopulationEmitter]) -> list[str]:
    layers = []
    below, rows = "void", str(program.network.input.size)
    for layer, emitter in zip(program.network.layers, emitters, strict=True):
        own = layer.recurrent
        flags = (own is not None, layer.forward.trained, own is not None and own.trained)
        arguments = [emitter.struct, below, rows, str(program.steps)]
        arguments += [boolean(flag) for flag in flags]
        layers.append(_plastic(layer, f"LayerSpec<{', '.join(arguments)}>"))
        below, rows = emitter.struct, f"Shape<{emitter.struct}::SIZE>::width"
    return layers


def _plastic(layer: Layer, spec: str) -> str:
    plastic = [bool(p and p.plastic) for p in (layer.forward, layer.recurrent)]
    if not any(plastic):
        return spec
    flags = ", ".join(boolean(flag) for flag in plastic)
    return f"PlasticLayer<{spec}, Plasticity, {flags}>"


def _plasticity(program: Program) -> str:
    """Return the constants of STDP, where a projection learns by it."""
    stdp = program.plasticity
    if stdp is None:
        return ""
    return fill(
        "plasticity",
        a_plus=repr(stdp.a_plus),
        a_minus=repr(stdp.a_minus),
        a_post=repr(stdp.a_post),
        decay_plus=repr(math.exp(-program.dt / stdp.tau_plus)),
        decay_minus=repr(math.exp(-program.dt / stdp.tau_minus)),
        w_min=repr(stdp.w_min),
        w_max=repr(stdp.w_max),
        multiplicative=boolean(stdp.bound == "multiplicative"),
        mu=repr(stdp.mu),
        punish=repr(stdp.punish if stdp.reward else 1.0),
        adam=boolean(stdp.optimiser == "adam"),
    )


def _formula(program: Program) -> dict[str, str]:
    loss, bound = program.loss, bind_loss(program)

    def number(expression: sp.Expr) -> str:
        return print_formula(expression, "Number<X>({})")

    def plain(expression: sp.Expr) -> str:
        return print_formula(expression, "{}")

    return {
        "loss_title": f"{loss.name}: {loss.meaning}",
        "silent_excluded": boolean(loss.silent_excluded),
        "duration": repr(program.duration),
        "score": number(bound.score),
        "score_slope": number(bound.score_slope),
        "label_term": number(bound.label_term),
        "label_term_slope": number(bound.label_term_slope),
        "weight": plain(bound.weight),
        "silent_push": plain(bound.silent_push),
        "own_part": "".join(f"\n    {line}" for line in _own_part(program, bound)),
    }


def _own_part(program: Program, bound: BoundLoss) -> list[str]:
    """Return what only losses with the readout of this one have in their formula."""
    readout = program.loss.readout
    if readout is Readout.SPIKE_TRAIN:
        kernel = kernel_of(program)
        keep = {"DECAY": kernel.decay, "RISE": kernel.rise}
        return [
            f"static constexpr double NORM = {kernel.norm!r};",
            *(
                f"static constexpr double KEEP_{name} = {math.exp(-program.dt / tau)!r};  // a step"
                for name, tau in keep.items()
            ),
        ]
    if readout is Readout.INPUT_WEIGHTED_SUM:
        return [
            f"static constexpr double ACCUMULATOR_WEIGHT = {bound.accumulator_weight!r};",
            f"static constexpr double ACCUMULATOR_DECAY = {bound.accumulator_decay!r};  // a step",
        ]
    if readout is Readout.FIRST_SPIKE_LAG:
        cost, slope, factor = (
            print_formula(expression, "{}")
            for expression in (bound.lag_cost, bound.lag_slope, bound.silent_factor)
        )
        return [
            f"static double lag_cost([[maybe_unused]] double d) {{ return {cost}; }}",
            f"static double lag_slope([[maybe_unused]] double d) {{ return {slope}; }}",
            f"static double silent_factor() {{ return {factor}; }}",
        ]
    return []
