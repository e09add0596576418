"""Text templates of generated code: short files, one per operation, beside a backend's modules."""

from __future__ import annotations

from importlib.resources import files
from string import Template


def fill_template(package: str | None, name: str, fields: dict[str, object]) -> str:
    """Fill ``templates/NAME.tmpl`` of a package; an undefined name in it is an error."""
    text = (files(package or "") / "templates" / f"{name}.tmpl").read_text()
    return Template(text).substitute(fields)
