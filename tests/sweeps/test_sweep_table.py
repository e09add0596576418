from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from runs import here

from snnrun.commands.result import again
from snnrun.errors import ConfigError
from snnrun.sweeps.settings import best_of, fold, in_order, kept
from snnrun.sweeps.sweep import Job, Sweep
from snnrun.sweeps.table import as_csv, as_json, as_markdown, as_text, reasons


def job(number: int, words: str, score: float = math.nan, **more: object) -> Job:
    told = {"state": "finished", "validation_score": score, "test_score": 1 - score, **more}
    return Job(
        number=number, folder=Path(f"s/{number}"), created=0.0, words=tuple(words.split()), **told
    )


JOBS = [
    job(0, "ETA=0.01 MODEL_SEED=1", 0.5, seconds=1.0, epochs=10, memory=1e8),
    job(1, "ETA=0.01 MODEL_SEED=2", 0.6, seconds=3.0, epochs=10, memory=2e8),
    job(2, "ETA=1e-3 MODEL_SEED=1", 0.9, seconds=2.0, epochs=10),
    job(3, "ETA=0.001 MODEL_SEED=2", state="exploded", reason="not finite"),
    job(4, "ETA=-1 MODEL_SEED=1", state="refused", reason="ETA=-1: must be > 0"),
    job(5, "ETA=-1 MODEL_SEED=2", state="waiting"),
]


def test_seeds_are_folded_to_mean_and_sample_deviation_and_failures_are_shown() -> None:
    settings = fold(JOBS)
    assert [setting.values for setting in settings] == [
        {"ETA": "0.01"}, {"ETA": "0.001"}, {"ETA": "-1"},
    ]  # fmt: skip
    mean, sd, n = settings[0].figure("validation")
    assert (mean, n) == (pytest.approx(0.55), 2)
    assert sd == pytest.approx(0.1 / math.sqrt(2))
    text = as_text(settings)
    assert text[:4] == [
        "   ETA      runs  train%         valid%  best%          test%   time  epoch  memory",
        "   0.01        2       -  55.00 +- 7.07      -  45.00 +- 7.07  2.00s  0.20s  150 MB",
        "*  0.001  1 of 2       -          90.00      -          10.00  2.00s  0.20s       -"
        "  1 exploded",
        f"   -1     0 of 2       -{'-':>15}      -{'-':>15}      -      -       -"
        "  1 waiting, 1 refused",
    ]
    assert "exploded: job 3: not finite" in text
    assert "refused: job 4: ETA=-1: must be > 0" in text


def test_a_narrow_terminal_gets_fewer_columns_whose_names_are_told() -> None:
    settings = fold(JOBS)
    whole = as_text(settings)
    assert as_text(settings, 200) == whole
    narrow = as_text(settings, 78)
    assert max(map(len, narrow[:4])) < 78
    assert narrow[0].split() == ["ETA", "runs", "valid%", "best%", "test%"]
    assert narrow[2].split()[:3] == ["*", "0.001", "1"]
    assert narrow[3].endswith("1 waiting, 1 refused")
    told = " ".join(narrow)
    assert "terminal is narrow: memory, epoch, time, train%; --csv has all." in told
    assert all(len(line) < 78 for line in narrow)


def test_the_best_setting_is_that_of_the_highest_validation_and_never_of_the_test() -> None:
    best = best_of(fold(JOBS))
    assert best is not None
    assert best.values == {"ETA": "0.001"}
    unvalidated = [
        job(0, "ETA=1", train_score=0.9, test_score=0.1),
        job(1, "ETA=2", train_score=0.8, test_score=0.9),
    ]
    best = best_of(fold(unvalidated))
    assert best is not None
    assert best.values == {"ETA": "1"}
    assert best_of(fold(JOBS[3:])) is None


def test_rows_are_ordered_and_filtered_by_numbers_as_numbers() -> None:
    settings = fold(JOBS)
    assert [s.values["ETA"] for s in in_order(settings, "ETA", JOBS)] == ["-1", "0.001", "0.01"]
    assert [s.values["ETA"] for s in in_order(settings, "-ETA", JOBS)] == ["0.01", "0.001", "-1"]
    by_score = [s.values["ETA"] for s in in_order(settings, "validation", JOBS)]
    assert by_score == ["0.001", "0.01", "-1"]
    assert [j.number for j in kept(JOBS, ["ETA=1e-3"])] == [2, 3]
    assert [j.number for j in kept(JOBS, ["state=finished", "MODEL_SEED=1"])] == [0, 2]
    assert [j.number for j in kept(JOBS, ["ETA=0.0*"])] == [0, 1, 2, 3]
    with pytest.raises(ConfigError, match=r"ETTA: there is no such key\. Did you mean 'ETA'"):
        kept(JOBS, ["ETTA=1"])


def test_csv_and_json_have_all_digits_and_every_job() -> None:
    settings = fold(JOBS)
    rows = list(csv.DictReader(io.StringIO(as_csv(settings))))
    assert float(rows[0]["validation_mean"]) == 0.55
    assert rows[1]["validation_sd"] == ""
    assert rows[1]["states"] == "1 finished, 1 exploded"
    first, second, _ = json.loads(as_json(settings))
    assert first["validation"] == {
        "mean": 0.55, "sd": pytest.approx(0.0707, abs=1e-4), "n": 2,
    }  # fmt: skip
    assert [first["chosen"], second["chosen"]] == [False, True]
    assert second["best"]["n"] == 0
    assert second["jobs"][1]["reason"] == "not finite"
    assert as_markdown(settings).splitlines()[3].startswith("| **0.001** | **1 of 2** | **-** |")


def test_a_key_that_only_some_were_given_has_the_value_of_their_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (Path("s/0/.hydra")).mkdir(parents=True)
    Path("s/0/.hydra/config.yaml").write_text("ETA: 0.005\nrule:\n  name: eventprop\n")
    jobs = [job(0, "NUM_HIDDEN=3", 0.1), job(1, "NUM_HIDDEN=3 ETA=1e-3 rule=surrogate", 0.2)]
    assert [s.values for s in fold(jobs)] == [
        {"ETA": "0.005", "rule": "eventprop"},
        {"ETA": "0.001", "rule": "surrogate"},
    ]


def test_a_job_that_waits_has_the_values_with_which_it_will_be_composed() -> None:
    common = {"ETA": 0.005, "rule.name": "eventprop"}
    waiting = replace(job(0, "NUM_HIDDEN=3", state="waiting"), common=common)
    told = job(1, "NUM_HIDDEN=3 ETA=0.005 rule=eventprop", 0.2)
    [setting] = fold([waiting, told], ["NUM_HIDDEN", "ETA", "rule"])
    assert setting.values == {"NUM_HIDDEN": "3", "ETA": "0.005", "rule": "eventprop"}


def test_the_command_of_a_setting_has_the_seeds_that_were_drawn(tmp_path: Path) -> None:
    jobs = []
    for number, seed in enumerate((17, 4)):
        folder = tmp_path / str(number)
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra" / "config.yaml").write_text(f"MODEL_SEED: {seed}\nTEST_DATA_SEED: 5\n")
        jobs.append(replace(job(number, "ETA=1", 0.5), folder=folder))
    sweep = Sweep(folder=tmp_path, asked=(), jobs=tuple(jobs))
    [both], [first] = fold(jobs), fold(jobs[:1])
    assert again(sweep, both) == "snnrun train -m ETA=1 MODEL_SEED=17,4"
    assert again(sweep, first) == "snnrun train ETA=1 MODEL_SEED=17"


def test_failed_jobs_of_several_sweeps_are_named_with_their_sweeps() -> None:
    failed = [
        replace(job(3, "ETA=0", state="refused", reason="no"), folder=Path(sweep, "3"))
        for sweep in ("one", "two")
    ]
    assert reasons(failed) == ["refused: jobs one/3, two/3: no"]
    assert reasons(failed[:1]) == ["refused: job 3: no"]


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    for words, said in (
        (["table", str(tmp_path / "none")], "there is no such folder"),
        (["table", str(tmp_path)], "holds no sweep and no runs"),
        (["resume", str(tmp_path)], "holds no sweep. `snnrun runs` lists"),
        (["best", str(tmp_path), "--config-dir", "conf"], "is where --preset NAME writes"),
        (["tabel"], "Did you mean 'table'?"),
        (["table", "--sort"], "--sort: needs a key"),
        (["table", "--cvs"], "Did you mean '--csv'?"),
    ):
        done = here("sweep", *words)
        assert done.returncode == 2
        assert said in done.stderr
