"""snnrun: an experiment runner for learning in spiking neural networks.

In Python::

    import snnrun

    run = snnrun.train({"dataset": "yinyang", "N_EPOCH": 3})
    run.accuracy["validation"], run.epochs["train_loss"]
    snnrun.evaluate(run, "test", scores=True).scores

What is named here is imported when it is first asked for, so that the command answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snnrun.version import __version__ as __version__

if TYPE_CHECKING:
    from snnrun.errors import SnnrunError
    from snnrun.interface import Evaluation, RunTable, evaluate, plot, resume, runs, train
    from snnrun.record.reader import Run, load_run

__all__ = [
    "Evaluation",
    "Run",
    "RunTable",
    "SnnrunError",
    "evaluate",
    "load_run",
    "plot",
    "resume",
    "runs",
    "train",
]

_HOMES = dict.fromkeys(__all__, "snnrun.interface")
_HOMES |= {"Run": "snnrun.record", "load_run": "snnrun.record", "SnnrunError": "snnrun.errors"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
