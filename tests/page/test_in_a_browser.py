"""Pages in a real browser: headless Chromium, driven by playwright."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from runs import LONG, RECORDS, end, here, overrides, start, wait_for
from test_report_command import trained

from snnrun.record.paths import RunPaths

pytestmark = pytest.mark.long
pytest.importorskip("plotly")
playwright = pytest.importorskip("playwright.sync_api", reason="pages are not looked at")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
WIDE, NARROW = (1400, 900), (400, 800)
TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("Chromium is not installed: pages are not looked at")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any, link: str, size: tuple[int, int] = WIDE, scheme: str = "light"
) -> Iterator[Any]:
    """Open a page, which must say nothing wrong and, from a file, ask for nothing else."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
    )
    page, wrong, asked = context.new_page(), [], []
    page.set_default_timeout(TIMEOUT_MS)
    page.on("console", lambda message: wrong.append(message.text) if said(message) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(link)
    page.wait_for_selector("html[data-ready]", state="attached")
    yield page
    assert wrong == []
    assert not link.startswith("file:") or asked == [link]
    context.close()


def said(message: Any) -> bool:
    """Return whether a message of the console is more than one of the driver of WebGL."""
    return "GL Driver Message" not in message.text


def see_all(page: Any) -> None:
    """Scroll through a page, so that all its charts are drawn."""
    charts = page.locator("figure.chart")
    for number in range(charts.count()):
        charts.nth(number).scroll_into_view_if_needed()
        page.wait_for_function(
            "n => document.querySelectorAll('figure.chart')[n].querySelector('.main-svg')",
            arg=number,
        )


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pages of a run and of both, by what they are of."""
    root = tmp_path_factory.mktemp("runs")
    trained(root / "a", **{**RECORDS, "REC_SPIKES": ["input", "hidden"]})
    trained(root / "b", MODEL_SEED=2, ETA=1e-2, TRAIN_TAU=True)
    assert here("report", str(root / "a")).returncode == 0
    assert here("report", str(root)).returncode == 0
    return {"run": (root / "a/page.html").as_uri(), "runs": (root / "page.html").as_uri()}


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
@pytest.mark.parametrize("which", ["run", "runs"])
def test_every_chart_is_drawn_without_an_error_or_a_request(
    browser: Any, pages: dict[str, str], which: str, size: tuple[int, int], scheme: str
) -> None:
    with opened(browser, pages[which], size, scheme) as page:
        see_all(page)
        assert page.locator("figure.chart").count() >= (15 if which == "run" else 2)
        assert (
            page.evaluate("document.documentElement.scrollWidth") == size[0]
        )  # nothing sticks out
        ink, paper = page.evaluate(
            "['color', 'backgroundColor'].map(n => getComputedStyle(document.body)[n])"
        )
        bright = [sum(map(int, re.findall(r"\d+", colour)[:3])) > 382 for colour in (ink, paper)]
        assert bright == [scheme == "dark", scheme == "light"]


def test_the_mouse_tells_neuron_and_time_of_a_spike(browser: Any, pages: dict[str, str]) -> None:
    with opened(browser, pages["run"]) as page:
        chart = page.locator("#spikes-0")
        chart.scroll_into_view_if_needed()
        point = chart.locator(".scatterlayer .points path").first
        point.wait_for(state="attached")
        box = point.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("#spikes-0 .hoverlayer text")
        told = page.locator("#spikes-0 .hoverlayer").text_content()
        assert re.search(r"(channel|neuron) \d+, \d+\.\d\d ms", told)


def test_a_raster_is_zoomed_and_another_example_chosen(browser: Any, pages: dict[str, str]) -> None:
    with opened(browser, pages["run"]) as page:
        chart = page.locator("#spikes-0")
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for()
        plot = "document.querySelector('#spikes-0 .plot')"
        before = page.evaluate(f"{plot}._fullLayout.xaxis.range")
        area = chart.locator(".nsewdrag").first.bounding_box()
        middle = area["y"] + area["height"] / 2
        page.mouse.move(area["x"] + 0.25 * area["width"], middle)
        page.mouse.down()
        page.mouse.move(area["x"] + 0.5 * area["width"], middle, steps=5)
        page.mouse.up()
        page.wait_for_function(f"{plot}._fullLayout.xaxis.range[0] > {before[0]}")
        zoomed = page.evaluate(f"{plot}._fullLayout.xaxis.range")
        assert zoomed[1] - zoomed[0] == pytest.approx((before[1] - before[0]) / 4, rel=0.1)
        data = f"JSON.stringify(Array.from({plot}._fullData[1].x))"
        old = page.evaluate(data)
        chart.locator("select").select_option(index=0)
        page.wait_for_function(f"{data} !== {old!r}")
        assert page.evaluate(f"{plot}._fullLayout.xaxis.range") == zoomed


def test_a_zoom_does_not_stay_for_another_quantity(browser: Any, pages: dict[str, str]) -> None:
    with opened(browser, pages["runs"]) as page:
        chart = page.locator("#curves-0")
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for()
        axis = "document.querySelector('#curves-0 .plot')._fullLayout.yaxis"
        page.evaluate(
            "Plotly.relayout(document.querySelector('#curves-0 .plot'), {'yaxis.range': [5, 6]})"
        )
        chart.locator("select").select_option(label="validation loss")
        page.wait_for_function(f"{axis}.title.text === 'validation loss'")
        assert page.evaluate(f"{axis}.range") != [5, 6]


def test_light_and_dark_are_switched_with_the_charts(browser: Any, pages: dict[str, str]) -> None:
    with opened(browser, pages["run"]) as page:
        ink = "document.querySelector('#course .plot')._fullLayout.font.color"
        page.wait_for_selector("#course .main-svg")
        light = page.evaluate(ink)
        page.click("#theme")
        page.wait_for_function(f"{ink} !== '{light}'")
        assert page.inner_text("#theme") == "Light"


def test_a_click_on_a_heading_sorts_a_table(browser: Any, pages: dict[str, str]) -> None:
    with opened(browser, pages["runs"]) as page:
        heading = page.locator("#all-runs th", has_text="ETA")
        column = "#all-runs tbody td:nth-child(2)"
        heading.click()
        first = page.locator(column).all_inner_texts()
        heading.click()
        assert page.locator(column).all_inner_texts() == first[::-1]
        assert heading.get_attribute("aria-sort") == "descending"


def test_the_differences_of_two_runs_are_those_of_their_configurations(
    browser: Any, pages: dict[str, str]
) -> None:
    with opened(browser, pages["runs"]) as page:
        one, two = page.locator(".pair select").all()
        one.select_option(index=0)
        two.select_option(index=1)
        rows = page.locator(".pair tbody tr:visible").all_inner_texts()
        assert ["MODEL_SEED", "1", "2"] in [row.split() for row in rows]
        two.select_option(index=0)
        assert page.locator(".pair tbody tr:visible").count() == 0
        assert page.inner_text(".pair output") == "They differ in no key."


def test_on_paper_all_charts_are_there_in_dark_too(
    browser: Any, pages: dict[str, str], tmp_path: Path
) -> None:
    with opened(browser, pages["run"], scheme="dark") as page:
        page.pdf(path=tmp_path / "page.pdf", format="A4")
        assert (tmp_path / "page.pdf").stat().st_size > 50_000
        charts = page.locator("figure.chart").count()
        assert page.locator("figure.chart:has(.main-svg)").count() == charts


def test_an_open_page_follows_a_run_and_keeps_zoom_and_place(browser: Any, places: Path) -> None:
    del places
    run = start("train", *overrides({**LONG, "COLLECT_CONFUSION": True}), "hydra.run.dir=a")
    watch = None
    try:
        wait_for(lambda: RunPaths(Path("a")).run.exists(), run)
        watch = start("watch", "a")
        assert watch.stdout is not None
        link = watch.stdout.readline().strip()
        with opened(browser, link) as page:
            plot = "document.querySelector('#course .plot')"
            page.wait_for_selector("#course .main-svg")
            page.evaluate(f"Plotly.relayout({plot}, {{'xaxis.range': [0, 1.5]}})")
            page.evaluate("scrollTo(0, 200)")
            epochs = page.evaluate(f"{plot}._fullData[0].x.length")
            page.wait_for_function(f"{plot}._fullData[0].x.length > {epochs}")
            assert page.evaluate(f"{plot}._fullLayout.xaxis.range") == [0, 1.5]
            assert page.evaluate("scrollY") == 200
            assert page.inner_text("#news").startswith("Last change")
        watch.send_signal(signal.SIGINT)
        assert end(watch)[0] == 130
        watch = None
    finally:
        for process in filter(None, (run, watch)):
            process.send_signal(signal.SIGINT)
            end(process)
    assert not RunPaths(Path("a")).page.exists()  # watching writes nothing
