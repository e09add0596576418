"""The page of one run."""

from __future__ import annotations

from pathlib import Path

from snnrun.page import about, costs, course, learned, model, recorded, settings
from snnrun.page.confusion import confusion
from snnrun.page.parts import Page
from snnrun.page.settings import Reference
from snnrun.plots.records import Records
from snnrun.record.reader import Run


def page_of_run(run: Run, reference: Reference | None = None, beside: Path | None = None) -> Page:
    """Return what there is to show of a run.

    Args:
        run: As its folder has it now.
        reference: What its configuration is compared with; without one, the table of its data set.
        beside: The folder in which the page will be, from which its links lead to the files of the
            run; None for a page that has no such links.
    """
    records = Records(run)
    built = model.model_of(records)
    return Page(
        records.title,
        [
            about.head(run),
            course.course(run),
            about.results(run),
            confusion(run),
            course.activity(run, built.populations),
            costs.costs(run),
            recorded.rasters(records),
            recorded.potentials(records, built.network),
            *learned.learned(records, built),
            model.network(built),
            model.derived(built),
            about.noticed(run),
            settings.configuration(run, reference),
            about.files(run, beside),
        ],
    )
