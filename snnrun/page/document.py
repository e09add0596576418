"""A page as one HTML file, and as the data of which an open page takes what is new."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from snnrun.errors import ConfigError
from snnrun.page.parts import Chart, Markup, Page, element, joined, mark
from snnrun.version import __version__

_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="snnrun {version}">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
"""
# A page asks nobody for anything; one that is served asks its own server for news
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src {own}"
)


def require_plotly(command: str) -> None:
    """Raise ConfigError, with what to install, where Plotly or matplotlib is missing."""
    for library in ("plotly", "matplotlib"):
        try:
            __import__(library)
        except ImportError as error:
            raise ConfigError(
                f"{command} needs Plotly and matplotlib; {library} is not installed ({error}). "
                "Install them: pip install '.[page]' in the folder of snnrun's source, or pip "
                "install plotly matplotlib"
            ) from error


def as_html(page: Page, watched: Mapping[str, Any] | None = None) -> str:
    """Return a page as HTML that needs no other file.

    Args:
        page: What it shows.
        watched: Of a page that is served: what its script needs to ask for news.
    """
    content = as_data(page)
    contents = [
        element("li", element("a", section["title"], href=f"#{section['name']}"))
        for section in content["sections"]
    ]
    sections = [
        element(
            "section",
            element("h2", section["title"]),
            element("div", *(Markup(part["html"]) for part in section["parts"]), class_="parts"),
            id=section["name"],
        )
        for section in content["sections"]
    ]
    marks = {p["name"]: p["mark"] for section in content["sections"] for p in section["parts"]}
    body = joined(
        [
            element(
                "header",
                element("h1", page.title, id="title"),
                element("p", id="news", role="status", hidden=True),
                element("button", "Dark", id="theme", type="button"),
            ),
            element("nav", element("ul", *contents), aria_label="Contents"),
            element("main", *sections),
            element("footer", f"Made by snnrun {__version__}. Everything is in this one file."),
            _data("charts", content["charts"]),
            _data("marks", marks),
            _data("watched", dict(watched or {})),
            Markup(f'<script type="text/plain" id="plotly">{_plotly()}</script>'),
            Markup(f"<script>{_own('page.js')}</script>"),
        ]
    )
    head = _HEAD.format(
        version=__version__,
        title=escape(page.title),
        style=_own("page.css"),
        policy=_POLICY.format(own="'self'" if watched else "'none'"),
    )
    return f"{head}<body>\n{body}\n</body>\n</html>\n"


def as_data(page: Page) -> dict[str, Any]:
    """Return what the script of a page needs to bring it up to date.

    Each part has a mark that differs where anything of it does.
    """
    charts: dict[str, Any] = {}
    sections = []
    for section in page.sections:
        parts = []
        for name, part in section.named():
            told = part.html(name)
            parts.append({"name": name, "html": told, "mark": mark(told)})
            if isinstance(part, Chart):
                views = part.data()
                charts[name] = {"views": views, "mark": mark(json.dumps(views))}
        sections.append({"name": section.name, "title": section.title, "parts": parts})
    return {"title": page.title, "sections": sections, "charts": charts}


def _data(name: str, values: Any) -> Markup:
    """Return data for the script; no text in them can end the element."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Markup(f'<script type="application/json" id="{name}">{text}</script>')


@cache
def _own(name: str) -> str:
    return (files("snnrun.page") / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """Return Plotly's script, compressed: 2 MB instead of 5 of each page."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()
