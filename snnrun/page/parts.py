"""What a page is made of: sections of texts, tables and charts.

All text is escaped unless it is Markup, which only ``element`` and its like make.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

HEIGHT = 300  # of a chart, in pixels
_LONG = 40  # characters of a cell that is broken into lines


class Markup(str):
    """HTML that goes to the page as it is."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str | bool) -> Markup:
    """Return an HTML element; children that are no Markup are escaped.

    A trailing underscore of an attribute's name is dropped, others become hyphens: ``class_``,
    ``data_value``. One that is true has no value, one that is false is left out.
    """
    told = "".join(
        f" {_attribute(key)}" + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items()
        if value is not False
    )
    return Markup(f"<{name}{told}>{joined(children)}</{name}>")


def joined(children: Iterable[str]) -> Markup:
    """Return texts and elements one after the other."""
    return Markup(
        "".join(child if isinstance(child, Markup) else html.escape(child) for child in children)
    )


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def paragraph(*children: str, kind: str = "") -> Text:
    """Return a paragraph."""
    return Text(element("p", *children, class_=kind or False))


def missing(what: str, key: str = "") -> Text:
    """Return the sentence that says what was not recorded, and with which key it would be."""
    told = [" Recorded with ", element("code", key), "."] if key else []
    return paragraph(what, *told, kind="missing")


@dataclass(frozen=True)
class Text:
    """Some HTML."""

    markup: Markup

    def html(self, name: str) -> Markup:
        """Return the element that the page calls ``name``."""
        return element("div", self.markup, id=name, class_="part")


class Cell(NamedTuple):
    """A cell of a table: its text, and by which number or text its column is sorted."""

    text: str
    value: float | str | None = None


@dataclass(frozen=True)
class Table:
    """A table whose columns can be sorted.

    Args:
        heading: Of each column.
        rows: Cells; a text is one that is sorted by itself.
        left: Columns of words, which stand to the left.
        title: Above it.
        chosen: The row that stands out, if one does.
    """

    heading: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    left: Iterable[int] = ()
    title: str = ""
    chosen: int | None = None

    def html(self, name: str) -> Markup:
        """Return the element that the page calls ``name``."""
        left = set(self.left)
        kinds: list[str | bool] = ["left" if k in left else False for k in range(len(self.heading))]
        head = [
            element("th", text, class_=kind, scope="col")
            for text, kind in zip(self.heading, kinds, strict=True)
        ]
        body = [
            element(
                "tr",
                *(_cell(c, kind) for c, kind in zip(row, kinds, strict=True)),
                class_="chosen" if number == self.chosen else False,
            )
            for number, row in enumerate(self.rows)
        ]
        table = element(
            "table",
            element("thead", element("tr", *head)),
            element("tbody", *body),
            class_="sorts" if len(self.rows) > 1 else False,
        )
        title = [element("h3", self.title)] if self.title else []
        scroll = element("div", table, class_="scroll", tabindex="0")
        return element("div", *title, scroll, id=name, class_="part wide")


def _cell(cell: str | Cell, kind: str | bool) -> Markup:
    text, value = cell if isinstance(cell, Cell) else (cell, None)
    if kind and len(text) > _LONG and not isinstance(text, Markup):
        kind = f"{kind} long"
    return element("td", text, class_=kind, data_value=False if value is None else str(value))


@dataclass(frozen=True)
class View:
    """One of the pictures among which a chart lets choose: traces and layout as Plotly has them."""

    traces: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart of Plotly; where it has several views, one is chosen from a list.

    Args:
        title: Above it.
        views: At least one.
        note: Below it.
        height: In pixels.
        wide: It takes the whole width of the page.
        latest: Of several views the last one is shown first.
    """

    title: str
    views: Sequence[View]
    note: str = ""
    height: int = HEIGHT
    wide: bool = False
    latest: bool = False

    def html(self, name: str) -> Markup:
        """Return the element that the page calls ``name``; the script draws into it."""
        choice = [element("select", aria_label=f"{self.title}: which one")]
        plot = element("div", class_="plot", style=f"height:{self.height}px")
        caption = element(
            "figcaption", element("h3", self.title), *(choice if len(self.views) > 1 else [])
        )
        note = [element("p", self.note, class_="note")] if self.note else []
        kind = " ".join(["part chart", *["wide"] * self.wide, *["latest"] * self.latest])
        return element("figure", caption, plot, *note, id=name, class_=kind)

    def data(self) -> list[dict[str, Any]]:
        """Return what the script is given."""
        return [
            {"label": view.label, "data": list(view.traces), "layout": dict(view.layout)}
            for view in self.views
        ]


Part = Text | Table | Chart


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading, which its list of contents names."""

    title: str
    parts: Sequence[Part]

    @property
    def name(self) -> str:
        """How links name it."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())

    def named(self) -> Iterable[tuple[str, Part]]:
        """Yield its parts by name."""
        for number, part in enumerate(self.parts):
            yield f"{self.name}-{number}", part


@dataclass(frozen=True)
class Page:
    """All of it."""

    title: str
    sections: Sequence[Section]


def mark(text: str) -> str:
    """Return a short text that differs where ``text`` does."""
    return sha256(text.encode()).hexdigest()[:12]
