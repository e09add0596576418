"""The neurons taken from rockpool do what rockpool's do, spike by spike and number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from discrete import network, program
from test_update import DT, TAU_SYN, THETA, N, P, T, inputs, native, run_native, weights

from snnrun.models.declare import Neuron
from snnrun.models.neurons import ROCKPOOL_LIF, ROCKPOOL_LIF_DELTA

WHY = "the comparison with rockpool needs torch and rockpool 3.1 (extra `peers`)"
torch = pytest.importorskip("torch", reason=WHY)
modules = pytest.importorskip("rockpool.nn.modules", reason=WHY)
StepPWL = pytest.importorskip("rockpool.nn.modules.torch.lif_torch", reason=WHY).StepPWL

BIAS = np.random.default_rng(8).normal(0.0, 0.02, N)
TAUS = np.random.default_rng(9).uniform(5.0, 15.0, N)
CASES: dict[str, tuple[Neuron, int, float, float, float]] = {
    # neuron, most spikes, mean and spread of the weights, spread of the recurrent ones
    "delta": (ROCKPOOL_LIF_DELTA, 15, 0.2, 0.5, 0.0),
    "delta, at most 3": (ROCKPOOL_LIF_DELTA, 3, 0.4, 0.6, 0.0),
    "current": (ROCKPOOL_LIF, 15, 0.02, 0.1, 0.0),
    "current, recurrent": (ROCKPOOL_LIF, 15, 0.01, 0.1, 0.01),
}


def wide(dtype: Any) -> Any:
    """Return rockpool's spike generation with counts in ``dtype``: it has them in float32."""

    class Spikes:
        @staticmethod
        def apply(*arguments: Any) -> Any:
            return StepPWL.apply(*arguments).to(dtype)

    return Spikes


def theirs(neuron: Neuron, most: int, recurrent: Any, dtype: Any) -> Any:
    """Return rockpool's module with the parameters of the test, in seconds."""
    options: dict[str, Any] = {
        "tau_mem": torch.tensor(TAUS / 1000),
        "threshold": torch.full((N,), THETA),
        "bias": torch.tensor(BIAS),
        "dt": DT / 1000,
        "max_spikes_per_dt": torch.tensor(float(most)),
    }
    if neuron is ROCKPOOL_LIF_DELTA:
        module = modules.LIFNeuronTorch((N,), **options)
    else:
        options["tau_syn"] = torch.full((N, 1), TAU_SYN / 1000)
        if recurrent is not None:
            options |= {"has_rec": True, "w_rec": torch.tensor(recurrent)}
        module = modules.LIFTorch((N, N), **options, spike_generation_fn=wide(dtype))
        module.isyn, module.spikes = module.isyn.to(dtype), module.spikes.to(dtype)
    for name, value in options.items():  # the module rounds all of them to float32
        if torch.is_tensor(value) and name != "max_spikes_per_dt":
            getattr(module, name).data = value.to(dtype)
    module.vmem = module.vmem.to(dtype)
    return module


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_states_and_spikes_are_those_of_rockpool(name: str, precision: str) -> None:
    neuron, most, mean, std, recurrent = CASES[name]
    given = {"tau_mem": TAUS, "tau_syn": TAU_SYN, "v_thresh": THETA, "bias": BIAS}
    given["max_spikes_per_dt"] = most
    net = network((P, N), neuron, given, recurrent=recurrent > 0)
    w = weights(3, mean, std, recurrent)
    if not recurrent:
        del w["hid_to_hid"]
    spikes = inputs(11)
    found = run_native(native(program(net, T, DT), precision=precision), spikes, w)
    dtype = getattr(torch, precision)
    torch.set_default_dtype(dtype)
    try:
        module = theirs(neuron, most, w.get("hid_to_hid"), dtype)
        driven = torch.tensor(np.stack([x @ w["in_to_hid"] for x in spikes]), dtype=dtype)
        with torch.no_grad():
            counts, _, record = module(driven, record=True)
    finally:
        torch.set_default_dtype(torch.float32)
    counts, tolerance = counts.numpy(), 1e-11 if precision == "float64" else 3e-5
    assert counts.max() == most if most == 3 else counts.max() > 2
    assert 0.02 < (counts > 0).mean() < 0.9
    for e, run in enumerate(found):
        np.testing.assert_array_equal(run.spikes, counts[e])
        after = run.states["V"] - run.spikes * THETA  # theirs is recorded after the reset
        np.testing.assert_allclose(after, record["vmem"][e].numpy(), rtol=0, atol=tolerance)
        if neuron is ROCKPOOL_LIF:
            theirs_I = record["isyn"][e, :, :, 0].numpy()
            np.testing.assert_allclose(run.states["I"], theirs_I, rtol=0, atol=tolerance)
