"""Gradients of neurons that are declared by an update are PyTorch's, of the same graph.

rockpool's neurons are rockpool's own modules; the others are transcribed from their sources.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from discrete import Array, data_of, network, program
from parity import gradients_of, load_weights, native
from test_update import DT, TAU_MEM, TAU_SYN, THETA, given_to, weights

from snnrun.models.declare import Neuron, Parameter
from snnrun.models.neurons import (
    BIAS,
    FLUX_LIF,
    ROCKPOOL_LIF,
    ROCKPOOL_LIF_DELTA,
    SPYTORCH_LI,
    SPYTORCH_LIF,
)
from snnrun.models.surrogates import FAST_SIGMOID, PIECEWISE_LINEAR, SpikeDerivative

WHY = "the comparison with autograd needs torch (extra `peers`)"
torch = pytest.importorskip("torch", reason=WHY)

T, P, N = 60, 13, 37
TOLERANCE = 1e-12  # relative to the largest entry
SCALE = 4.0
EXAMPLES = 3


class FastSigmoid(torch.autograd.Function):  # type: ignore[misc]
    """A step with the derivative of a fast sigmoid."""

    @staticmethod
    def forward(context: Any, x: Any) -> Any:
        context.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        (x,) = context.saved_tensors
        return gradient / (SCALE * x.abs() + 1) ** 2


def flux(x: dict[str, Any], arriving: Any, p: dict[str, Any], detach: bool) -> Any:
    I_next = x["I"] + (DT / p["tau_syn"]) * (-x["I"] + arriving)
    V_ = x["V"] + (DT / p["tau_mem"]) * (-x["V"] + I_next)
    S_next = FastSigmoid.apply(V_ - p["v_thresh"])
    kept = S_next.detach() if detach else S_next
    x["V"], x["I"] = (1 - kept) * V_, I_next
    return S_next


def spytorch(x: dict[str, Any], arriving: Any, p: dict[str, Any], detach: bool) -> Any:
    """Take mem and syn from t to t + 1 and return the spikes of mem(t + 1)."""
    rst = x["S"].detach() if detach else x["S"]
    new_syn = torch.exp(-DT / p["tau_syn"]) * x["I"] + arriving
    new_mem = (torch.exp(-DT / p["tau_mem"]) * x["V"] + x["I"]) * (1 - rst)
    x["V"], x["I"] = new_mem, new_syn
    x["S"] = FastSigmoid.apply(new_mem - p["v_thresh"])
    return x["S"]


ODD = Neuron(  # everything that the language has
    name="odd",
    update="""
        I = tanh(I * exp(-dt / tau_syn)) + input
        W = max(W - dt / tau_mem * abs(W - 0.3), -0.5)
        V = V + dt / tau_mem * (0.2 * V**2 - V + I - W * min(V, v_thresh))
        V = V * sqrt(1 + bias**2) / (1 + log(1 + abs(bias) * exp(-abs(V))))
    """,
    threshold="V >= v_thresh + 0.1 * W",
    reset="""
        V = v_reset * W
        W = W + 0.2 * V
    """,
    parameters=(
        *SPYTORCH_LIF.parameters,
        BIAS,
        Parameter(name="v_reset", default=0.1, unit="1", meaning="size of the reset"),
    ),
    meaning="no neuron of anybody's",
    source="tests only",
)


def odd(x: dict[str, Any], arriving: Any, p: dict[str, Any], detach: bool) -> Any:
    I = torch.tanh(x["I"] * torch.exp(-DT / p["tau_syn"])) + arriving  # noqa: E741
    W = x["S"] - DT / p["tau_mem"] * torch.abs(x["S"] - 0.3)  # S: unused otherwise
    W = torch.clamp(W, min=-0.5)
    V = x["V"]
    V = V + DT / p["tau_mem"] * (0.2 * V**2 - V + I - W * torch.minimum(V, p["v_thresh"]))
    V = (
        V
        * torch.sqrt(1 + p["bias"] ** 2)
        / (1 + torch.log(1 + torch.abs(p["bias"]) * torch.exp(-torch.abs(V))))
    )
    s = FastSigmoid.apply(V - (p["v_thresh"] + 0.1 * W))
    kept = s.detach() if detach else s
    x["V"] = V + kept * (p["v_reset"] * W - V)
    x["S"] = W + kept * (0.2 * V)
    x["I"] = I
    return s


def loop(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return spikes [E, T, N] of a network that is walked step by step."""

    def spikes(x: Any, w: dict[str, Any], p: dict[str, Any], detach: bool) -> Any:
        zero = torch.zeros(len(x), N)
        states, out = dict.fromkeys("VIS", zero), [zero]
        for n in range(T):
            arriving = x[:, n] @ w["in_to_hid"]
            if "hid_to_hid" in w:
                arriving = arriving + out[-1] @ w["hid_to_hid"]
            out.append(step(states, arriving, p, detach))
        return torch.stack(out[1:], 1)

    return spikes


def rockpool(current: bool, most: int = 15) -> Callable[..., Any]:
    """Return spikes [E, T, N] of rockpool's own modules."""

    def spikes(x: Any, w: dict[str, Any], p: dict[str, Any], detach: bool) -> Any:
        lif_torch = pytest.importorskip(
            "rockpool.nn.modules.torch.lif_torch", reason="needs rockpool 3.1 (extra `peers`)"
        )
        from rockpool.nn.modules import LIFNeuronTorch, LIFTorch

        class Steps(torch.autograd.Function):  # type: ignore[misc]
            """rockpool's, but for counts and gradients, which it rounds to float32."""

            @staticmethod
            def forward(context: Any, *arguments: Any) -> Any:
                return lif_torch.StepPWL.forward(context, *arguments).to(torch.float64)

            backward = lif_torch.StepPWL.backward

        assert not detach
        options: dict[str, Any] = {"spike_generation_fn": Steps, "dt": DT / 1000}
        options["max_spikes_per_dt"] = torch.tensor(float(most))
        module = (
            LIFTorch((N, N), has_rec="hid_to_hid" in w, **options)
            if current
            else LIFNeuronTorch((N,), **options)
        )
        own = {"tau_mem": p["tau_mem"] / 1000, "threshold": p["v_thresh"], "bias": p["bias"]}
        own |= {"tau_syn": p["tau_syn"][:, None] / 1000} if current else {}
        own |= {"w_rec": w["hid_to_hid"]} if "hid_to_hid" in w else {}
        for name, value in own.items():
            delattr(module, name) if name in module._parameters else None
            object.__setattr__(module, name, value)
        for name in ("vmem", "isyn", "spikes")[: 3 if current else 1]:
            setattr(module, name, getattr(module, name).to(torch.float64))
        return module(x @ w["in_to_hid"])[0]

    return spikes


def theirs(
    run: Callable[..., Any],
    x: Array,
    w: dict[str, Array],
    p: dict[str, Array],
    detach: bool,
    loss: str,
) -> tuple[Array, dict[str, Array]]:
    """Return spike counts [E, T, N] and gradients of the mean loss."""
    inputs = torch.tensor(x, dtype=torch.float64)
    leaves = {k: torch.tensor(v, requires_grad=True) for k, v in {**w, **p}.items()}
    spikes = run(inputs, leaves, leaves, detach)
    V = I = torch.zeros(len(x), 3)  # noqa: E741
    seen, arrived = [], torch.zeros(len(x), N)
    for n in range(T):
        V = np.exp(-DT / TAU_MEM) * V + I
        I = np.exp(-DT / TAU_SYN) * I + arrived @ leaves["hid_to_out"]  # noqa: E741
        seen.append(V)
        arrived = spikes[:, n]
    y = torch.stack(seen, 1)
    y = y.max(1).values if loss == "max" else y.mean(1)
    torch.nn.functional.cross_entropy(y, torch.arange(len(x)) % 3).backward()
    found = {k: v.grad.numpy() for k, v in leaves.items() if v.grad is not None}
    return spikes.detach().numpy(), found


START = {"tau_mem": TAU_MEM, "tau_syn": TAU_SYN, "v_thresh": THETA, "bias": 0.02, "v_reset": 0.1}
Case = tuple[Neuron, Callable[..., Any], tuple[float, float, float], bool, str]
CASES: dict[str, Case] = {
    # neuron, PyTorch's, mean and spread of weights and spread of recurrent ones, detached, loss
    "rockpool, delta": (ROCKPOOL_LIF_DELTA, rockpool(False), (0.2, 0.5, 0.0), False, "sum"),
    "rockpool, at most 2": (
        ROCKPOOL_LIF_DELTA,
        rockpool(False, most=2),
        (0.2, 0.5, 0.0),
        False,
        "sum",
    ),
    "rockpool, current": (ROCKPOOL_LIF, rockpool(True), (0.02, 0.1, 0.01), False, "max"),
    "flux": (FLUX_LIF, loop(flux), (2.0, 2.0, 0.5), False, "max"),
    "flux, detached": (FLUX_LIF, loop(flux), (2.0, 2.0, 0.5), True, "max"),
    "odd": (ODD, loop(odd), (0.9, 0.9, 0.3), False, "sum"),
    "odd, detached": (ODD, loop(odd), (0.9, 0.9, 0.3), True, "max"),
    "spytorch": (SPYTORCH_LIF, loop(spytorch), (0.02, 0.05, 0.02), False, "sum"),
    "spytorch, detached": (SPYTORCH_LIF, loop(spytorch), (0.02, 0.05, 0.02), True, "max"),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_autograd(name: str) -> None:
    neuron, run, (mean, std, recurrent), detach, loss = CASES[name]
    draw = np.random.default_rng(7)
    trained = tuple(p.name for p in neuron.parameters if p.name != neuron.max_spikes)
    own = {k: START[k] * draw.uniform(0.8, 1.2, N) for k in trained}
    most = {neuron.max_spikes: 2 if "at most 2" in name else 15} if neuron.max_spikes else {}
    net = network(
        (P, N),
        neuron,
        {**own, **most},
        recurrent=recurrent > 0,
        trained=trained,
        output=SPYTORCH_LI,
        of_output=given_to(SPYTORCH_LI),
    )
    surrogate = PIECEWISE_LINEAR if neuron.count else FAST_SIGMOID
    values = {} if neuron.count else {"scale": SCALE}
    spikes = SpikeDerivative(surrogate=surrogate, values=values, detach_reset=detach)
    w = weights(3, mean, std, recurrent)
    if not recurrent:
        del w["hid_to_hid"]
    x = draw.random((EXAMPLES, T, P)) < 0.2
    torch.set_default_dtype(torch.float64)
    try:
        counts, wanted = theirs(run, x, w, own, detach, loss)
    finally:
        torch.set_default_dtype(torch.float32)
    assert 0.01 < (counts > 0).mean() < 0.9
    assert "at most 2" not in name or counts.max() == 2
    backend = native(program(net, T, DT, loss=loss, spikes=spikes))
    load_weights(backend, w)
    results = backend.gradient(data_of(x), np.arange(EXAMPLES))
    np.testing.assert_array_equal(results.neuron_spikes[:N], counts.sum((0, 1)))
    found = gradients_of(backend)
    assert set(found) == {*w, *(f"hidden.{p}" for p in own)}
    for key, value in found.items():
        theirs_ = wanted[key.removeprefix("hidden.")]
        largest = np.abs(theirs_).max()
        assert largest > 0
        np.testing.assert_allclose(value, theirs_, rtol=0, atol=TOLERANCE * largest, err_msg=key)
