"""snnrun from Python and notebooks: what the commands do, as functions that return what came of it.

train, resume   a run, trained          evaluate   stored weights on other data
runs            a table of what there is    plot   pictures as Matplotlib figures
"""

from snnrun.interface.evaluation import Evaluation, evaluate
from snnrun.interface.saved import RunTable, plot, runs
from snnrun.interface.training import resume, train

__all__ = ["Evaluation", "RunTable", "evaluate", "plot", "resume", "runs", "train"]
