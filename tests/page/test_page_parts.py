"""What a page is made of."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest

from snnrun.page.confusion import spread
from snnrun.page.document import as_data
from snnrun.page.parts import Cell, Chart, Page, Section, Table, Text, View, element, paragraph
from snnrun.page.traces import axis, curve, logarithmic, packed

EVIL = "</script><script>alert(1)</script>\"'&"


def unpacked(spec: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(spec["bdata"]), spec["dtype"])


def test_texts_are_escaped_and_elements_are_not_escaped_again() -> None:
    inner = element("code", EVIL, title=EVIL)
    assert "<script" not in inner
    assert element("p", inner, "<b>") == f"<p>{inner}&lt;b&gt;</p>"
    assert paragraph(EVIL).markup.count("<") == 2


def test_attributes_are_written_as_html_has_them() -> None:
    made = element("td", "x", class_="left", data_value="1", hidden=True, title=False)
    assert made == '<td class="left" data-value="1" hidden>x</td>'


def test_a_table_escapes_its_cells_and_sorts_by_their_values() -> None:
    html = Table(["<a>", "b"], [[EVIL, Cell("1.2k", 1200)], ["y", "2"]]).html("t")
    assert "<script" not in html
    assert "&lt;a&gt;" in html
    assert '<td data-value="1200">1.2k</td>' in html
    assert 'class="sorts"' in html
    assert "sorts" not in Table(["a"], [["only one"]]).html("t")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 255], "u1"),
        ([-1, 100], "i1"),
        ([0, 40_000], "u2"),
        ([0, 2**40], "f8"),
        ([True, False], "u1"),
        ([0.5, 1e6], "f4"),
    ],
)
def test_numbers_are_packed_in_the_smallest_type_that_holds_them(
    values: list[float], dtype: str
) -> None:
    spec = packed(values)
    assert spec["dtype"] == dtype
    assert unpacked(spec) == pytest.approx(np.array(values, float))


def test_what_is_not_finite_makes_a_gap_and_matrices_keep_their_shape() -> None:
    spec = packed([[1.0, np.inf], [np.nan, 2.0]])
    assert spec["shape"] == "2, 2"
    np.testing.assert_array_equal(unpacked(spec), [1, np.nan, np.nan, 2])


def test_an_axis_is_logarithmic_where_positive_values_span_a_wide_range() -> None:
    assert logarithmic([np.array([1.0, 30.0, np.nan])]) == {"type": "log"}
    assert logarithmic([np.array([1.0, 3.0])]) == {}
    assert logarithmic([np.array([0.0, 30.0])]) == {}
    assert logarithmic([]) == {}


def test_of_many_values_those_that_are_shown_are_spread_from_the_first_to_the_last() -> None:
    assert spread(range(3), 5) == [0, 1, 2]
    assert spread(range(100), 4) == [0, 33, 66, 99]
    assert spread(range(100), 1) == [99]


def test_parts_have_marks_that_change_with_what_they_show() -> None:
    def data(score: float, word: str) -> dict:
        chart = Chart("c", [View([curve([0, 1], [0.0, score], word)])])
        return as_data(Page("p", [Section("One two", [chart, Text(element("p", word))])]))

    old, same, other = data(0.5, "a"), data(0.5, "a"), data(0.6, "a")
    assert json.dumps(old) == json.dumps(same)
    assert list(old["charts"]) == ["one-two-0"]
    assert old["charts"]["one-two-0"]["mark"] != other["charts"]["one-two-0"]["mark"]
    marks = [[part["mark"] for part in told["sections"][0]["parts"]] for told in (old, other)]
    assert marks[0] == marks[1]  # the data of a chart are apart from its place on the page


def test_every_colour_that_traces_name_is_in_the_style() -> None:
    from snnrun.page import document, traces

    style = document._own("page.css")
    assert (
        len(re.findall(r"--c\d:", style)) == 3 * traces.COLOURS
    )  # light, dark, and dark by choice
    assert all(f"--{name}:" in style for name in ("ink", "muted", "paper", "card", "line"))


def test_plotly_makes_no_html_of_names_and_titles() -> None:
    assert curve([0], [1], EVIL)["name"].count("<") == 0
    assert axis("<b>", "two")["title"]["text"] == "&lt;b&gt;<br>two"
