"""The page of many runs, from jobs as they are read."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest

from snnrun.page.document import as_data
from snnrun.page.parts import Table
from snnrun.page.several import Several, page_of_several
from snnrun.sweeps.sweep import Job

pytest.importorskip("matplotlib")


def job(number: int, words: str, state: str = "finished", **more: object) -> Job:
    told = {"created": 1.0, "state": state, "words": tuple(words.split()), **more}
    return Job(number=number, folder=Path(f"s/{number}"), **told)  # type: ignore[arg-type]


JOBS = [
    job(0, "ETA=0.1 NUM_HIDDEN=10 MODEL_SEED=1", validation_score=0.5, test_score=0.4),
    job(1, "ETA=0.1 NUM_HIDDEN=10 MODEL_SEED=2", validation_score=0.7, test_score=0.6),
    job(2, "ETA=0.2 NUM_HIDDEN=10 MODEL_SEED=1", validation_score=0.9, test_score=0.2),
    job(3, "ETA=0.2 NUM_HIDDEN=20 MODEL_SEED=1", "failed", reason="<b>out of luck</b>"),
    job(4, "ETA=0.1 NUM_HIDDEN=20 MODEL_SEED=1", "waiting", created=0.0),
]


def shown(jobs: list[Job]) -> dict:
    return as_data(page_of_several(Several("title", jobs)))


def html_of(data: dict, title: str) -> str:
    [found] = [section for section in data["sections"] if section["title"] == title]
    return "".join(part["html"] for part in found["parts"])


def rows(text: str) -> list[list[str]]:
    return [
        [html.unescape(re.sub("<.*?>", "", cell)) for cell in re.findall("<td.*?</td>", row)]
        for row in re.findall("<tr.*?</tr>", text)[1:]
    ]


def test_the_table_has_mean_and_deviation_of_settings_and_marks_the_best() -> None:
    text = html_of(shown(JOBS), "Table")
    assert [row[:4] for row in rows(text)] == [
        ["", "0.1", "10", "2"],
        ["best", "0.2", "10", "1"],
        ["", "0.2", "20", "0 of 1"],
        ["", "0.1", "20", "0 of 1"],
    ]
    assert "60.00 ± 14.14" in text
    assert text.count('<tr class="chosen">') == 1


def test_scores_are_drawn_against_each_key_with_runs_and_means() -> None:
    charts = shown(JOBS)["charts"]
    views = {view["label"]: view for view in charts["scores-by-key-0"]["views"]}
    assert list(views) == ["validation", "test"]  # nothing is known of the training
    runs, means = views["validation"]["data"]
    assert runs["x"] == [0.1, 0.1, 0.2]
    assert means["x"] == [0.1, 0.2]
    heat_map = charts["scores-by-key-2"]["views"][0]["data"][0]
    assert (heat_map["x"], heat_map["y"]) == (["10", "20"], ["0.1", "0.2"])


def test_why_runs_failed_is_told_as_it_was_and_not_as_html() -> None:
    text = html_of(shown(JOBS), "Runs")
    assert "failed: job 3: &lt;b&gt;out of luck&lt;/b&gt;" in text
    assert "<b>out of luck" not in text


@pytest.mark.parametrize("state", ["waiting", "running", "refused"])
def test_a_sweep_of_which_nothing_has_finished_has_a_page(state: str) -> None:
    data = shown([replace(job, state=state, validation_score=float("nan")) for job in JOBS])
    titles = [section["title"] for section in data["sections"]]
    assert titles == ["Runs", "Table", "Curves", "Differences", "All runs"]
    assert data["charts"] == {}
    assert "No epoch of any run has ended yet" in html_of(data, "Curves")


def test_runs_that_differ_by_what_is_recorded_are_one_setting() -> None:
    jobs = [job(0, "ETA=0.1 REC_SPIKES=[hidden]"), job(1, "ETA=0.1 REC_SPIKES=[]")]
    page = page_of_several(Several("title", jobs))
    [table] = [part for part in page.sections[1].parts if isinstance(part, Table)]
    assert len(table.rows) == 1
