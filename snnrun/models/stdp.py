"""Spike-timing dependent plasticity: the constants of the rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stdp:
    """Pair-based STDP between all spikes of a trial, with bounds, and a reward.

    With arrivals of presynaptic neuron i in steps m and spikes of postsynaptic neuron k in steps n,

        P_ik = sum over pairs with n >= m of exp(-(n - m) dt / tau_plus)
        D_ik = sum over pairs with n <  m of exp(-(m - n) dt / tau_minus)
        S_k  = spikes of k
        dw_ik = r (a_plus f_plus P_ik - a_minus f_minus D_ik + a_post f S_k)

    A spike of a layer arrives one step after it was emitted, and a spike that arrives in the step
    of a postsynaptic spike comes before it, as it can cause it. Of the factors f, additive bounds
    have 1, multiplicative ones f_plus = (w_max - w)^mu and f_minus = (w - w_min)^mu, and f is the
    one of the sign of a_post. The reward r is 1, or, with ``punish``, 1 after a right prediction
    and ``punish`` after a wrong one. The pseudo-gradient -dw, averaged over a mini-batch, goes to
    the optimiser; weights are kept in [w_min, w_max] after each update.

    Args:
        a_plus, a_minus: Amplitudes of potentiation and depression; times ETA they are weights.
        a_post: Change of all weights of a neuron at each of its spikes, whatever arrived.
        tau_plus, tau_minus: Time constants of the traces (ms).
        w_min, w_max: Bounds of the weights.
        bound: ``additive`` or ``multiplicative``.
        mu: Exponent of multiplicative bounds.
        punish: Reward of an example with a wrong prediction; None: every example counts alike.
        optimiser: ``sgd`` or ``adam``.

    Source: Song, Miller & Abbott 2000, Nat Neurosci 3:919 (additive); van Rossum, Bi & Turrigiano
    2000, J Neurosci 20:8812, and Guetig, Aharonov, Rotter & Sompolinsky 2003, J Neurosci 23:3697
    (multiplicative, mu); Kempter, Gerstner & van Hemmen 1999, Phys Rev E 59:4498 (a_post: their
    w_out); Izhikevich 2007, Cereb Cortex 17:2443 (reward).
    """

    a_plus: float
    a_minus: float
    a_post: float
    tau_plus: float
    tau_minus: float
    w_min: float
    w_max: float
    bound: str
    mu: float
    punish: float | None
    optimiser: str
