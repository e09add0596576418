"""`snnrun gradcheck`: are the derived gradients right?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snnrun.errors import NumericalError

if TYPE_CHECKING:
    from snnrun.commands.application import Job

HELP = """\
usage: snnrun gradcheck [KEY=VALUE ...] [GROUP=CHOICE ...] [options]

Compares the gradients that the learning rule gives for a network and loss with finite differences;
the exit code is 0 if they agree. Writes no run folder. Takes the same keys, groups and options as
`snnrun train`.

examples:
  snnrun gradcheck
  snnrun gradcheck dataset=shd network=recurrent HIDDEN_NEURON_TYPE=ALIF
  snnrun gradcheck LOSS_TYPE=mylab.losses.margin
"""


def run(arguments: Sequence[str]) -> int:
    from snnrun.commands.application import Application

    return Application(name="gradcheck", work=_gradcheck, writes=False).run(arguments)


def _gradcheck(job: Job) -> None:
    from snnrun.gradcheck import check_gradients

    if not check_gradients(job.config):
        raise NumericalError("the gradients and the finite differences above do not agree")
