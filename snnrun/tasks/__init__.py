"""Kinds of task: the figures of each, its score, and its words. One file for each kind."""

from snnrun.tasks.classification import CLASSIFICATION
from snnrun.tasks.regression import REGRESSION
from snnrun.tasks.spike_pattern import SPIKE_PATTERN
from snnrun.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (CLASSIFICATION, SPIKE_PATTERN, REGRESSION)}
