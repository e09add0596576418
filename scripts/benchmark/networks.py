"""The networks of peers.py in PyTorch and snnTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class FastSigmoid(torch.autograd.Function):
    """A spike where x >= 0, with the derivative 1 / (scale |x| + 1)^2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.scale = scale
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return given / (ctx.scale * x.abs() + 1) ** 2, None


class Plain(nn.Module):
    """The equations of lif and li with their exact propagators, the loop over time unbound."""

    def __init__(
        self, weights: dict[str, np.ndarray], tau_mem: float, tau_syn: float, scale: float
    ) -> None:
        super().__init__()
        given = {name: nn.Parameter(torch.tensor(w)) for name, w in weights.items()}
        self.forward_weights, self.output_weights = given["in_to_hid"], given["hid_to_out"]
        self.recurrent = given.get("hid_to_hid")
        self.scale, self.keep_V, self.keep_I = scale, math.exp(-1 / tau_mem), math.exp(-1 / tau_syn)
        self.gain = tau_syn / (tau_mem - tau_syn) * (self.keep_V - self.keep_I)

    def forward(self, x: Tensor) -> Tensor:
        arriving = x @ self.forward_weights
        current = torch.zeros_like(arriving[:, 0])
        potential, spikes, all_spikes = current, current, []
        for added in arriving.unbind(1):
            current = current + added
            if self.recurrent is not None:
                current = torch.addmm(current, spikes, self.recurrent)
            potential = self.keep_V * potential + self.gain * current
            current = self.keep_I * current
            spikes = FastSigmoid.apply(potential - 1, self.scale)
            potential = potential * (1 - spikes.detach())
            all_spikes.append(spikes)
        arriving = torch.stack(all_spikes, 1) @ self.output_weights
        current = torch.zeros_like(arriving[:, 0])
        potential, total = current, current
        for added in (current, *arriving.unbind(1)[:-1]):  # a spike arrives one step later
            current = current + added
            potential = self.keep_V * potential + self.gain * current
            current = self.keep_I * current
            total = total + potential
        return total / len(all_spikes)


class Snntorch(nn.Module):
    """The same sizes and time constants with snnTorch's neurons."""

    def __init__(
        self, weights: dict[str, np.ndarray], tau_mem: float, tau_syn: float, scale: float
    ) -> None:
        import snntorch as snn
        from snntorch import surrogate

        super().__init__()
        spike = surrogate.fast_sigmoid(slope=scale)
        given = {name: torch.tensor(w.T.copy()) for name, w in weights.items()}
        self.forward_weights = nn.Linear(*weights["in_to_hid"].shape, bias=False)
        self.output_weights = nn.Linear(*weights["hid_to_out"].shape, bias=False)
        self.forward_weights.weight.data = given["in_to_hid"]
        self.output_weights.weight.data = given["hid_to_out"]
        decays = {"alpha": math.exp(-1 / tau_syn), "beta": math.exp(-1 / tau_mem)}
        self.recurrent = "hid_to_hid" in given
        more = {"spike_grad": spike, "reset_mechanism": "zero"}
        if self.recurrent:
            size = weights["hid_to_hid"].shape[0]
            self.hidden = snn.RSynaptic(**decays, **more, linear_features=size)
            self.hidden.recurrent = nn.Linear(size, size, bias=False)
            self.hidden.recurrent.weight.data = given["hid_to_hid"]
        else:
            self.hidden = snn.Synaptic(**decays, **more)
        self.output = snn.Synaptic(**decays, reset_mechanism="none")
        # these neurons have no factor that makes weights comparable: as many spikes as ours
        gain = tau_syn / (tau_mem - tau_syn) * (decays["beta"] - decays["alpha"])
        for layer in (self.forward_weights, self.output_weights):
            layer.weight.data *= gain

    def forward(self, x: Tensor) -> Tensor:
        states = self.hidden.reset_mem() if self.recurrent else self.hidden.init_synaptic()
        current, potential, total = *self.output.init_synaptic(), 0.0
        all_spikes = []
        for added in self.forward_weights(x).unbind(1):
            states = self.hidden(added, *states)
            all_spikes.append(states[0])
            states = states if self.recurrent else states[1:]
        for added in self.output_weights(torch.stack(all_spikes, 1)).unbind(1):
            _, current, potential = self.output(added, current, potential)
            total = total + potential
        return total / len(all_spikes)


MAKE = {"torch": Plain, "snntorch": Snntorch}
