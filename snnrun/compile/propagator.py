"""Propagators of linear equations over one step: exact to rounding, equal time constants included.

For x' = A x + b the step is x(t + dt) = P x(t) + u with P = expm(A dt) and u = int_0^dt expm(A s) b
ds.
Both come from one matrix exponential, expm([[A, b], [0, 0]] dt) = [[P, u], [0, 1]]. It is computed
by scaling and squaring of a Taylor series. Closed forms with 1 / (tau_mem - tau_syn) in them lose
digits where time constants are nearly equal; this does not.
"""

from __future__ import annotations

import numpy as np

TAYLOR_ORDER = 18  # with |M| <= 1/2 the remainder is below 2**-18 / 18!, far under one ulp


def matrix_exponential(M: np.ndarray) -> np.ndarray:
    """Return expm of the matrices in the last two axes of ``M`` (float64)."""
    size = float(np.abs(M).sum(axis=-1).max(initial=0.0))
    squarings = max(0, int(np.ceil(np.log2(size))) + 1) if size > 0 else 0
    scaled = M / 2.0**squarings
    identity = np.broadcast_to(np.eye(M.shape[-1]), M.shape)
    result = identity
    for k in range(TAYLOR_ORDER, 0, -1):  # Horner: I + M/1 (I + M/2 (I + ...))
        result = identity + scaled @ result / k
    for _ in range(squarings):
        result = result @ result
    return result


def propagator(
    A: np.ndarray, b: np.ndarray, dt: float, integrator: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return (P, u) of one step of ``dt`` ms for A [n, n] and b [n].

    ``integrator`` is ``exact`` or ``euler`` (P = I + A dt, u = b dt).
    """
    if integrator == "euler":
        return np.eye(len(A)) + A * dt, b * dt
    n = len(A)
    M = np.zeros((n + 1, n + 1))
    M[:n, :n], M[:n, n] = A * dt, b * dt
    E = matrix_exponential(M)
    return E[:n, :n], E[:n, n]


def propagator_and_derivative(
    A: np.ndarray, slopes: np.ndarray, dt: float, integrator: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return [P, u] of N neurons [N, n, n + 1], and its derivative along D directions.

    Args:
        A: [A, b] of each neuron, [N, n, n + 1].
        slopes: Derivatives of [A, b], [D, N, n, n + 1].

    expm([[M, dM], [0, M]] dt) holds the derivative of expm(M dt) in its upper right block (Van Loan
    1978, IEEE TAC 23:395).
    """
    size, n = A.shape[:2]
    M = np.zeros((size, n + 1, n + 1))
    M[:, :n] = A * dt
    dM = np.zeros((len(slopes), *M.shape))
    dM[:, :, :n] = slopes * dt
    if integrator == "euler":
        return (np.eye(n + 1) + M)[:, :n], dM[:, :, :n]
    block = np.zeros((len(slopes), size, 2 * n + 2, 2 * n + 2))
    block[..., : n + 1, : n + 1] = block[..., n + 1 :, n + 1 :] = M
    block[..., : n + 1, n + 1 :] = dM
    return matrix_exponential(M)[:, :n], matrix_exponential(block)[..., :n, n + 1 :]
