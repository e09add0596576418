"""What ``conf/config.yaml`` asks for that OmegaConf does not know; importing this registers it.

``${home:PATH}`` is PATH with the home folder for a ``~`` at its start: Hydra makes run folders from
texts as they are. Every process of a multirun imports this with the callback of the configuration.
"""

from __future__ import annotations

import os

from omegaconf import OmegaConf

OmegaConf.register_new_resolver("home", os.path.expanduser, replace=True)
