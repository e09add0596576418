"""The optimisers that come with the project."""

from __future__ import annotations

from typing import Any

from snnrun.optimisers.optimiser import WEIGHT_DECAY, Optimiser

BETAS = {"beta1": "ADAM_BETA1", "beta2": "ADAM_BETA2", "epsilon": "ADAM_EPS"}
CORRECTED = """
size = rate / (1 - beta1**step)
correction = 1 / (1 - beta2**step)
"""
MOMENTS = """
first = beta1 * first + (1 - beta1) * g
second = beta2 * second + (1 - beta2) * (g * g)
"""
STEP = "w = w - size * first / (sqrt(second * correction) + epsilon)"


def _sgd(options: Any) -> str:
    lines = ["g = g + decay * w"] if options.weight_decay else []
    if options.momentum:
        lines.append("velocity = momentum * velocity + g")
        lines.append("g = g + momentum * velocity" if options.nesterov else "g = velocity")
    return "\n".join([*lines, "w = w - rate * g"])


def _rmsprop(options: Any) -> str:
    lines = ["g = g + decay * w"] if options.weight_decay else []
    if options.centred:  # square - mean * mean as a recursion: that difference may lose all digits
        lines.append(
            "variance = alpha * variance + alpha * (1 - alpha) * ((g - mean) * (g - mean))"
        )
        lines.append("mean = alpha * mean + (1 - alpha) * g")
        lines.append("g = g / (sqrt(variance) + epsilon)")
    else:
        lines.append("square = alpha * square + (1 - alpha) * (g * g)")
        lines.append("g = g / (sqrt(square) + epsilon)")
    if options.momentum:
        lines += ["velocity = momentum * velocity + g", "g = velocity"]
    return "\n".join([*lines, "w = w - rate * g"])


def _lion(options: Any) -> str:
    decayed = " + decay * w" if options.weight_decay else ""
    return (
        f"w_step = sign(beta1 * mean + (1 - beta1) * g){decayed}\n"
        "mean = beta2 * mean + (1 - beta2) * g\n"
        "w = w - rate * w_step"
    )


ADAM = Optimiser(
    name="adam",
    meaning="steps of a mean of the gradient, divided by the root of the mean squared gradient",
    source="Kingma & Ba 2015, arXiv 1412.6980, algorithm 1",
    states=("first", "second"),
    numbers=BETAS,
    once=CORRECTED,
    update=MOMENTS + STEP,
    bounded=True,
)
ADAMW = Optimiser(
    name="adamw",
    meaning="Adam, with weights that decay apart from it",
    source="Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2, decay times the learning rate",
    states=("first", "second"),
    numbers=BETAS,
    switches=(WEIGHT_DECAY,),
    usual={WEIGHT_DECAY: 0.01},
    once=f"{CORRECTED}keep = 1 - rate * decay\n",
    update=lambda options: MOMENTS + ("w = keep * w\n" if options.weight_decay else "") + STEP,
    bounded=True,
)
SGD = Optimiser(
    name="sgd",
    meaning="stochastic gradient descent, with momentum",
    source="Sutskever et al. 2013, ICML, with the learning rate outside of the velocity",
    states=("velocity",),
    numbers={"momentum": "optimiser.momentum"},
    switches=(WEIGHT_DECAY, "optimiser.nesterov"),
    usual={"optimiser.momentum": 0.9},
    update=_sgd,
)
RMSPROP = Optimiser(
    name="rmsprop",
    meaning="steps of the gradient, divided by the root of the mean squared gradient",
    source="Tieleman & Hinton 2012, Coursera lecture 6.5; centred: Graves 2013, arXiv 1308.0850",
    states=("square", "variance", "mean", "velocity"),
    numbers={
        "alpha": "optimiser.alpha",
        "epsilon": "optimiser.epsilon",
        "momentum": "optimiser.momentum",
    },
    switches=(WEIGHT_DECAY, "optimiser.centred"),
    update=_rmsprop,
    bounded=True,
)
LION = Optimiser(
    name="lion",
    meaning="steps as long as the learning rate, with the sign of a mean of the gradient",
    source="Chen et al. 2023, arXiv 2302.06675, algorithm 2",
    states=("mean",),
    numbers={"beta1": "optimiser.beta1", "beta2": "optimiser.beta2"},
    switches=(WEIGHT_DECAY,),
    update=_lion,
    bounded=True,
)
# That of projections with a plasticity of their own, unless rule.optimiser is adam.
PLAIN = Optimiser(name="sgd", meaning="steps along the gradient", update="w = w - rate * g")
