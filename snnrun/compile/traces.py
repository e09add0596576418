"""What a network must be like for its gradients to be known while a trial runs.

The gradient by the weight from i to j is then summed from the first step on, with traces that each
synapse has of each state x_j, for a step x_j <- F(x_j + arrivals) with threshold and reset:

    eps  <- (dx_j/dx_j) (eps + arrival of i)              arrival: at the port where the weight adds
    e    = (ds_j/dx_j) (eps + arrival of i)               by the surrogate, as in discrete.py
    R    <- (dx_k/dx_k) (R + e of the step before)        in the states of an output k
    dL/dw += L_j (dV_k/dx_k) (R + e of the step before)   L_j = sum_k B_jk dL/dV_k of this step

Where dx_j/dx_j is the same for all neurons j in all steps, the synapses of i share eps. R filters e
as the outputs filter the spikes of j. It must not depend on k, and L_j on no later step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnrun.compile.flow import steps_of
from snnrun.errors import ConfigError
from snnrun.models.losses import LOSSES
from snnrun.network.network import Way

if TYPE_CHECKING:
    from snnrun.compile.population import CompiledPopulation
    from snnrun.compile.program import Program

KEY = "rule.update_steps"


def shares_traces(compiled: CompiledPopulation) -> bool:
    """Return whether all synapses of a presynaptic neuron have the same eps.

    So it is where steps are linear and the same for all neurons, spikes take something off or add
    it and set nothing, and these count as constants.
    """
    back, held = compiled.step_back, compiled.refractory_steps and compiled.dynamics.neuron.held
    resets = back is not None and (back.reset or back.reset_change not in (None, 0))
    return bool(steps_of(compiled).linear and not (compiled.per_neuron or held or resets))


def require_traces(program: Program) -> None:
    """Raise ConfigError where gradients cannot be known before a trial ends."""
    output = program.populations[-1]
    name = output.population.name
    if not program.loss.readout.of_steps:
        able = [loss.name for loss in LOSSES.values() if loss.readout.of_steps]
        raise ConfigError(
            f"{KEY}: loss {program.loss.name} is known when a trial has ended, and weights are to "
            f"learn before; use LOSS_TYPE={' or '.join(able)}, or leave {KEY} out"
        )
    if program.regulariser is not None:
        raise ConfigError(
            f"REG_TYPE={program.regulariser.name}: needs the spikes of a whole trial, and {KEY} "
            "lets weights learn before it has ended; leave one of them out"
        )
    if output.spiking or output.per_neuron or not steps_of(output).linear:
        raise ConfigError(
            f"{KEY}: needs outputs without a threshold that are linear and all alike, and "
            f"population {name} has others; leave {KEY} out"
        )
    for tensor in program.tensors:
        if tensor.trained and (tensor.projection is None or tensor.delays is not None):
            raise ConfigError(
                f"{KEY}: {tensor.kind} are trained ({tensor.name}), and only weights have traces; "
                f"keep them as they are, or leave {KEY} out"
            )
    into = program.network.into(program.network.layers[-1])
    for layer in program.network.layers[:-1]:
        own = layer.population.name
        back = [p for p in into if p.source == own and p.way is not Way.FORWARD]
        plain = len(back) == 1 and back[0].delays is None and not back[0].dropout
        if any(p.trained for p in layer.projections) and not plain:
            raise ConfigError(
                f"{KEY}: needs one projection from {own} to {name}, without delay and dropout, to "
                f"send derivatives back; use rule.feedback=random, or leave {KEY} out"
            )


def require_dense(program: Program, other: str) -> None:
    """Raise ConfigError where a backend would keep traces of lists of synapses, or late arrivals.

    ``other``: the backend that does.
    """
    if not program.update_steps:
        return
    for layer in program.network.layers:
        for p in program.network.into(layer):
            if (p.trained or p.way is not Way.FORWARD) and (p.synapses or p.delays or p.dropout):
                raise ConfigError(
                    f"{KEY}: projection {p.name} is a list of synapses, delayed, or dropped at "
                    f"times, whose traces only backend {other} keeps; use backend={other}, or "
                    f"leave {KEY} out"
                )
