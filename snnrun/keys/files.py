"""The configuration files that come with the project: where they are, and their values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]


def conf_dir() -> Path:
    """Return the folder of the configuration files: the wheel's, or that of the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if (installed / "config.yaml").is_file() else package.parent / "conf"


def values_of(file: Path) -> dict[str, Any]:
    """Return key -> value of a file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # seven times as fast
    found: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), loader)
    return found
