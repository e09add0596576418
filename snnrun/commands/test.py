"""`snnrun test`: evaluate a trained run on its test set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snnrun.console import announce

if TYPE_CHECKING:
    from snnrun.commands.application import Application

HELP = """\
usage: snnrun test [RUN] [KEY=VALUE ...]
       snnrun test network=nir network.file=FILE dataset=NAME [KEY=VALUE ...]

Evaluates the run in folder RUN on the test set of its data set; without RUN, the newest run below
./outputs. It uses the last checkpoint, or with LOAD_BEST=true the best one.
With a network in the place of a run it tests that network as it is: a new run without training,
N_EPOCH=0, and but for losses of spike times rule=surrogate, unless another rule is given.

examples:
  snnrun test
  snnrun test outputs/2026-11-21/18-03-12-123456 LOAD_BEST=true
  snnrun test outputs/2026-11-21/18-03-12-123456 N_TEST=null COLLECT_CONFUSION=true
  snnrun test network=nir network.file=net.nir network.stepping=sinabs dataset=nmnist

keys that may be changed of a run:
{keys}
"""


NETWORK = ("network=", "network.file=")  # words that describe a network, which no run may change


def help_text() -> str:
    from snnrun.commands.saved_run import describe_changeable

    return HELP.format(keys=describe_changeable("test"))


def untrained(arguments: Sequence[str]) -> Application:
    """Return the command that tests a network as it starts, as Hydra runs it.

    Nothing is learned, and rule=surrogate takes neurons of all kinds, but no loss of spike times.
    """
    from snnrun.commands.application import Application
    from snnrun.commands.arguments import split
    from snnrun.commands.compose import composed
    from snnrun.commands.train import train_job
    from snnrun.models.losses import BUILT_IN

    loss = BUILT_IN.get(composed(split(arguments))[0].get("LOSS_TYPE"))
    rule = [] if loss is not None and loss.spiking else ["rule=surrogate"]
    return Application(name="test", work=train_job, settings=["N_EPOCH=0", *rule])


def run(arguments: Sequence[str]) -> int:
    from snnrun.commands.saved_run import find_run, load, log_to

    if any(word.startswith(NETWORK) for word in arguments):
        return untrained(arguments).run(arguments)
    folder, overrides = find_run(arguments, "test")
    announce("test", [folder, *overrides])
    config = load(folder, overrides, "test", keep=False)
    log_to(folder)
    from snnrun.run import test

    test(config, folder)
    return 0
