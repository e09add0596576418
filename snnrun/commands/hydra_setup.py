"""What Hydra and OmegaConf must be told once in each process; importing this tells OmegaConf.

``conf/config.yaml`` uses ``${home:PATH}``, which is PATH with the home folder for a ``~`` at its
start: Hydra makes run folders from texts as they are. Every process of a multirun imports this with
the callback that the configuration names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import hydra
import omegaconf
from omegaconf import OmegaConf

# From OmegaConf 2.4 on it has the second name, and the first is warned of
_of_2_3 = omegaconf.__version__.startswith("2.3.")
_register: Any = OmegaConf.register_new_resolver if _of_2_3 else OmegaConf.register_resolver
_register("home", os.path.expanduser, replace=True)

IS_1_3 = hydra.__version__.startswith("1.3.")

# Hydra 1.3 asks which version's behaviour is wanted; later ones have one, and warn of the question.
VERSION: Mapping[str, str] = {"version_base": "1.3"} if IS_1_3 else {}


def main_options() -> Mapping[str, Any]:
    """Return what `hydra.main` is given besides the place of the configuration.

    From 1.4 on Hydra wants a list of what a configuration may import. Ours names neurons, losses
    and data sets of the user's own, so there is nothing to keep out.
    """
    if IS_1_3:
        return VERSION
    return {"execution_whitelist": import_module("hydra.utils").UNSAFE_DISABLE_EXECUTION_CHECKS}
