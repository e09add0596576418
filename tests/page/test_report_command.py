"""`snnrun report`: the page of a run, of a sweep, of several runs."""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from runs import RECORDS, here, small, write_shd

from snnrun.record.paths import RunPaths
from snnrun.record.saved import save_config
from snnrun.run import train

pytest.importorskip("matplotlib")
pytest.importorskip("plotly")

NAME = "<i>it's</i> & more"


def trained(folder: Path, **keys: Any) -> Path:
    config = small(**keys)
    paths = RunPaths(folder)
    paths.hydra.mkdir(parents=True)
    save_config(OmegaConf.create(config.to_dict()), paths.config)
    save_config(
        OmegaConf.create([f"{key}={value}" for key, value in keys.items()]), paths.overrides
    )
    train(config, paths.root)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has recorded some of everything, and one that has recorded nothing."""
    root = tmp_path_factory.mktemp("runs")
    trained(root / "a", NAME=NAME, **RECORDS)
    trained(root / "b", TRAIN_TAU=True, N_EPOCH=1)
    return root


def page_of(*folders: Path, file: Path) -> str:
    done = here("report", *map(str, folders), "--output", str(file))
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    return file.read_text(encoding="utf-8")


def data(page: str, name: str) -> Any:
    return json.loads(
        re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page)[0]
    )


def sections(page: str) -> list[str]:
    return [html.unescape(title) for title in re.findall(r"<h2>(.*?)</h2>", page)]


def test_the_page_of_a_run_has_all_that_it_recorded(runs: Path) -> None:
    done = here("report", str(runs / "a"))
    file = RunPaths(runs / "a").page
    assert done.stdout == f"{file}\n"
    page = file.read_text(encoding="utf-8")
    assert len(page) < 6e6
    assert sections(page) == [
        "Run", "Course", "Results", "Confusion", "Activity", "Costs", "Spikes", "Potentials",
        "Weights", "Time constants", "Network", "Equations", "Warnings", "Configuration", "Files",
    ]  # fmt: skip
    charts = data(page, "charts")
    spikes = charts["spikes-0"]["views"]
    assert len(spikes) == 8  # of two recorded mini-batches, four examples each
    assert re.fullmatch(
        r"epoch 0, mini-batch 0, example \d+, class \w+, predicted \w+", spikes[0]["label"]
    )
    assert "ms" in spikes[0]["data"][0]["hovertemplate"]
    names = [trace["name"] for trace in charts["potentials-0"]["views"][0]["data"]]
    assert "threshold" in names
    assert "<math" in page
    assert "<svg" in page
    assert 'href="run.h5"' in page
    assert "TAU_MEM" not in sections(page)


def test_what_users_call_things_is_shown_and_never_read_as_html(runs: Path) -> None:
    page = RunPaths(runs / "a").page
    text = page.read_text() if page.exists() else page_of(runs / "a", file=page)
    assert NAME not in text
    assert html.escape(NAME) in text


def test_what_was_not_recorded_is_said_with_the_key_that_records_it(
    runs: Path, tmp_path: Path
) -> None:
    page = page_of(runs / "b", file=tmp_path / "b.html")
    for key in ("COLLECT_CONFUSION=true", "REC_SPIKES=[input,hidden]", "REC_NEURONS=[[hidden,V]"):
        assert re.search(rf'class="missing">[^<]*<code>[^<]*{re.escape(key)}', page)
    assert not {name for name in data(page, "charts") if name.startswith(("spikes", "potentials"))}
    assert "W_OUTPUT_EPOCH_TRIAL" in page  # the weights are there once, by the checkpoint


def test_a_page_says_how_many_examples_of_its_data_a_run_has_used(tmp_path: Path) -> None:
    folder, data = tmp_path / "r", write_shd(tmp_path / "data")
    shd = {"dataset": "shd", "dataset.path": str(data), "LOSS_TYPE": "sum"}
    trained(folder, **shd, N_TRAIN=15, N_VALIDATE=9, N_TEST=8, N_EPOCH=1)
    page = page_of(folder, file=tmp_path / "r.html")
    assert "train 15 of 24 examples, 700 channels" in page
    assert "validation 9 of 24 examples, 700 channels" in page
    assert "test 8 examples, 700 channels" in page


def test_several_runs_are_compared_by_the_keys_that_differ(runs: Path, tmp_path: Path) -> None:
    page = page_of(runs / "a", runs / "b", file=tmp_path / "both.html")
    assert sections(page)[0] == "Runs"
    assert {"Table", "Curves", "Scores by key", "Differences", "All runs"} <= set(sections(page))
    rows = dict(re.findall(r'<tr data-values="([^"]*)"><td class="left">(\w+)', page))
    values = {key: json.loads(html.unescape(told)) for told, key in rows.items()}
    assert values["N_EPOCH"] == ["3", "1"]
    assert "TRAIN_TAU" not in values


def test_a_folder_of_runs_has_one_page_with_links_to_theirs(runs: Path) -> None:
    done = here("report", str(runs))
    assert done.stdout == f"{runs / 'page.html'}\n"
    page = (runs / "page.html").read_text()
    assert "2 of 2" in page
    assert re.search(r'<a href="b(/page.html)?">b</a>', page)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere: does not exist"),
        (["ETA=1"], "takes folders of runs, no keys"),
        (["--outptu", "x"], "--outptu: there is no such option. Did you mean '--output'?"),
        (["--output", "page.pdf"], "--output page.pdf: must end in one of .html, .htm"),
        (["--output", "nowhere/page.html"], "there is no folder nowhere"),
        (["."], "is no run folder"),
    ],
)
def test_mistakes_are_told(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    if words[0] == "--output":
        words = [str(runs / "b"), *words]
    done = here("report", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize("found", [True, False])
def test_a_page_is_opened_where_there_is_a_browser(
    found: bool, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda link: opened.append(link) or found)
    file = tmp_path / "a page.html"
    done = here("report", str(runs / "b"), "--open", "--output", str(file))
    assert (done.returncode, opened) == (0, [file.as_uri()])
    assert ("no browser was found" in done.stderr) is not found


@pytest.mark.parametrize("library", ["plotly", "matplotlib"])
def test_without_what_it_needs_it_says_how_to_install_it(
    library: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    for command in ("report", "watch"):
        done = here(command, str(runs / "b"))
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{library} is not installed" in done.stderr
        assert "pip install '.[page]'" in done.stderr
