"""Keys of optimisers: options of the group ``optimiser``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnrun.keys.key import RESUME, number, row, switch, table, text, when
from snnrun.keys.kinds import Kind, Problems


def _rates(value: Any) -> Mapping[str, float]:
    """Return a mapping of names to rates; what is null is left out."""
    if not isinstance(value, Mapping):
        raise ValueError(value)
    found, wrong = {}, []
    for name, given in value.items():
        if given is None:
            continue
        try:
            rate = float(given)
        except (TypeError, ValueError):
            rate = 0.0
        if isinstance(given, bool) or not 0 < rate < float("inf"):
            wrong.append(f".{name}={given}: must be a number > 0, or null: that of the others")
        found[str(name)] = rate
    if wrong:
        raise Problems(wrong)
    return found


RATES = Kind(
    text="a mapping of output, parameters or names of arrays to learning rates",
    convert=_rates,
    mapping=True,
)
DECAYING = ("adamw", "sgd", "rmsprop", "lion")
_SGD, _RMSPROP, _LION = (when("optimiser.name", name) for name in ("sgd", "rmsprop", "lion"))

# fmt: off
KEYS = table(
    "optimiser",
    text(
        "optimiser.name",
        "How weights, and what else is trained, follow their gradients, or the dotted path of your "
        "own: adam, adamw, sgd, rmsprop, lion. docs/optimisers.md has the equations.",
        choices=("adam", *DECAYING), dotted_path=True,
    ),
) + table(
    "optimiser",
    number(
        "optimiser.weight_decay",
        "Weight decay: in each update a weight loses this part of itself, times the learning rate "
        "(adamw, lion), or this part of it is added to its gradient (sgd, rmsprop). Delays and "
        "parameters of neurons do not decay.",
        minimum=0, nullable=True, null="0.01 of adamw, 0 of the others",
        active_if=(when("optimiser.name", *DECAYING),),
    ),
    number(
        "optimiser.momentum",
        "What is kept of the velocity from one update to the next; 0: there is none.",
        minimum=0, below=1, nullable=True, null="0.9 of sgd, 0 of rmsprop",
        active_if=(_SGD, _RMSPROP), changeable=(),
    ),
    switch(
        "optimiser.nesterov", "Nesterov's momentum, as PyTorch has it.", active_if=(_SGD,),
        changeable=(),
    ),
    number(
        "optimiser.alpha", "Decay of the mean of the squared gradient, per update.",
        minimum=0, below=1, active_if=(_RMSPROP,),
    ),
    number(
        "optimiser.epsilon", "Added to the root of the mean of the squared gradient.", above=0,
        active_if=(_RMSPROP,),
    ),
    switch(
        "optimiser.centred",
        "Divide by the root of the variance of the gradient instead of that of its mean square.",
        active_if=(_RMSPROP,), changeable=(),
    ),
    number(
        "optimiser.beta1", "Decay of the mean of the gradient whose sign is taken.",
        minimum=0, below=1, active_if=(_LION,),
    ),
    number(
        "optimiser.beta2", "Decay of the mean of the gradient that is kept.", minimum=0, below=1,
        active_if=(_LION,),
    ),
    number(
        "optimiser.clip_norm",
        "Gradient clipping by norm: where the norm of the gradient of all that is trained is "
        "larger, it is scaled to this one.",
        above=0, nullable=True, null="any norm",
    ),
    number(
        "optimiser.clip_value",
        "Gradient clipping by value: each gradient is kept between plus and minus this.",
        above=0, nullable=True, null="any value",
    ),
    row(
        "optimiser.rates",
        "Learning rates in place of ETA, and of ETA_DELAY: output (weights towards the output), "
        "parameters (time constants and other parameters of neurons), or the name of a projection, "
        "of its delays (NAME_delays) or of the parameters of a population (NAME_parameters) -> "
        "rate. They follow ETA's course.",
        kind=RATES,
    ),
    changeable=(RESUME,),
)
# fmt: on
