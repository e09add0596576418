"""Loggers: what hands the figures of a run on to other programs, one file each.

``logger=csv,tensorboard`` names those in LOGGERS; a dotted path names one's own, which is a
subclass of ``Logger``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snnrun.loggers.base import LoggedRun as LoggedRun
from snnrun.loggers.base import Logger as Logger
from snnrun.loggers.base import Row as Row

LOGGERS: Mapping[str, str] = MappingProxyType(  # name -> the class, imported where it is asked for
    {
        "csv": "snnrun.loggers.csv.Csv",
        "tensorboard": "snnrun.loggers.tensorboard.TensorBoard",
        "mlflow": "snnrun.loggers.mlflow.MLflow",
        "wandb": "snnrun.loggers.wandb.WeightsAndBiases",
    }
)
PACKAGES: Mapping[str, str] = MappingProxyType(  # name -> what pip installs for it
    {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb pillow"}
)
