"""Paths and names on the command line: taken as they were typed, whatever characters they have."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from cli_tools import Calls, Say, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from snnrun.cli import main
from snnrun.commands.arguments import check, parse, split
from snnrun.commands.typed import as_typed
from snnrun.shell import command, setting

ODD = [
    *("1E234", "1e3", "true", "null", "None", "0x1F", "1_000", "007", "nan", "~", "~x", "a=b"),
    *("a, b", "SHD (1)", "日本", "x#y", "a&b", "it's", 'say "yes"', "[old]", "{a}", "a:b", "$HOME"),
    *(
        "100%",
        " two  blanks ",
        "back\\slash",
        "a\\",
        "tab\tbed",
        "two\nlines",
        ' ""',
        "choice(a,b)",
        "é/ü",
    ),
    *("-x", "!"),
]
LETTERS = st.one_of(
    st.sampled_from(" ~[](){}=#&'\"\\,:$/.-+*?!|;<>%@^`éß日1Eenulltrue\n\t"),
    st.characters(codec="utf-8", exclude_characters="\0"),
)
TEXTS = st.text(LETTERS, min_size=1, max_size=12)


def reading(key: str, word: str) -> str:
    """Return what Hydra gives a key for a word of the command line."""
    [override] = parse(check(split([word])))
    assert override.key_or_group == key
    return override.value()


def plain(text: str) -> bool:
    """Return whether a text has nothing that the command line gives a meaning of its own."""
    return "${" not in text and not text.startswith(("'", '"'))


@pytest.mark.parametrize("key", ["NAME", "OUT_DIR", "dataset.path"])
@given(text=TEXTS)
@settings(deadline=None, max_examples=120)
def test_texts_and_paths_arrive_as_they_were_typed(key: str, text: str) -> None:
    if plain(text) and not text.startswith("~") and text.lower() != "null":
        assert reading(key, f"{key}={text}") == text


@given(text=TEXTS)
@settings(deadline=None, max_examples=300)
def test_a_setting_that_the_program_prints_means_its_value(text: str) -> None:
    given = reading("NAME", setting("NAME", text))
    assert text == OmegaConf.create({"NAME": given}).NAME


def test_a_command_that_the_program_prints_passes_through_a_shell() -> None:
    line = command("train", *(setting("NAME", text) for text in ODD))
    assert "\n" not in line
    script = f"snnrun() {{ printf '%s\\0' \"$@\"; }}; {line}"
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode()
    assert said.split("\0")[1:-1] == [setting("NAME", text) for text in ODD]


def test_a_printed_folder_is_taken_for_nothing_but_a_folder() -> None:
    folders = ["-m", "~", "ETA=0.001", "a/b=c", "o/a b", "plain"]
    words = [shlex.split(command("resume", Path(folder)))[2] for folder in folders]
    assert words == ["./-m", "./~", "./ETA=0.001", "a/b=c", "o/a b", "plain"]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ('NAME="a, b"', "a, b"),
        ("NAME='1e3'", "1e3"),
        ("NAME=null", "null"),
        ("dataset.path=null", None),
        ("dataset.path=Null", None),
        ("dataset.path='null'", "null"),
        ("NAME=${OUT_DIR} (2)", "${OUT_DIR} (2)"),
        ("dataset.folder=~/mine", "~/mine"),
        ("dataset.size=3", 3),
        ("OUT_DIR=~", os.path.expanduser("~")),
        ("hydra.run.dir=~/runs (1)", os.path.expanduser("~/runs (1)")),
    ],
)
def test_quotes_null_and_interpolations_keep_their_meaning(typed: str, text: object) -> None:
    words = check(split(["dataset.name=mylab.data.mine", typed]))
    assert parse(words)[1].value() == text


def test_commas_sweep_in_a_multirun_only() -> None:
    def values(*words: str) -> list[str]:
        override, *_ = parse(check(split(words)))
        assert override.is_sweep_override()
        return [getattr(value, "text", value) for value in override.value().list]

    assert values("-m", "NAME=1e3,it's,SHD (1),'a,b',~/x") == [
        "1e3",
        "it's",
        "SHD (1)",
        "a,b",
        "~/x",
    ]
    assert values("NAME=a,${now:%d,%m}", "hydra.mode=MULTIRUN")[:1] == ["a"]
    assert reading("NAME", "NAME=a,b") == "a,b"
    assert as_typed("NAME=choice(a,b)", sweeps=True) == "NAME=choice(a,b)"
    assert as_typed("hydra.sweep.dir=a,b", sweeps=True) == 'hydra.sweep.dir="a,b"'


@pytest.mark.long
def test_a_run_keeps_its_paths_and_its_name(calls: Calls, tmp_path: Path) -> None:
    texts = [text for text in ODD if plain(text)]
    for number, text in enumerate(texts[::3]):
        other, last = texts[3 * number - 2], texts[3 * number - 1]  # each at one of three places
        folder = f"{number} {last.lstrip('~/ ')}"
        words = [f"NAME={text}", f"dataset.path=/d/{other}", f"hydra.run.dir={folder}"]
        assert main(["train", "dataset=shd", *words]) == 0
        name, config, place, *_ = calls.pop()
        assert (name, place) == ("train", tmp_path / folder)
        assert (config.NAME, config.dataset.path) == (text, f"/d/{other}")
        if number % 4 == 0:
            assert main(["resume", folder, f"backend.cache_dir=/c/{text}"]) == 0
            assert main(["resume", f"./{folder}"]) == 0
            assert [config.backend.cache_dir for _, config, *_ in calls] == [f"/c/{text}"] * 2
            assert {(config.NAME, config.dataset.path) for _, config, *_ in calls} == {
                (text, f"/d/{other}")
            }
            calls.clear()


def test_home_is_meant_by_a_tilde_in_files_too(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    presets = tmp_path / "me" / "my (conf) #1's" / "preset"
    presets.mkdir(parents=True)
    (presets / "mine é.yaml").write_text("# @package _global_\nOUT_DIR: ~/o u t\nNAME: a=[b]\n")
    assert main(["train", "--config-dir=~/my (conf) #1's", "preset=mine é"]) == 0
    [(_, config, folder, _)] = calls
    assert folder.is_relative_to(tmp_path / "me" / "o u t" / "outputs")
    assert config.NAME == "a=[b]"
    assert list(tmp_path.iterdir()) == [tmp_path / "me"]


@pytest.mark.parametrize("value", ["1E234", "5", "true", "2.5"])
def test_a_name_in_a_file_that_yaml_reads_as_a_number_is_refused_with_the_cure(
    value: str, calls: Calls, capsys: Say
) -> None:
    Path("c/preset").mkdir(parents=True)
    Path("c/preset/mine.yaml").write_text(f"# @package _global_\nNAME: {value}\n")
    said = refused(capsys, "train", "--config-dir", "c", "preset=mine")
    assert "In a YAML file a text that looks like a number" in said
    assert 'NAME: "' in said


@pytest.mark.parametrize("folder", ["o/a b", "sw/ETA=0.001,NAME=x", "日本 [1]", "~x", "it's"])
def test_a_folder_that_holds_a_run_is_known_however_it_is_spelt(
    folder: str, calls: Calls, capsys: Say
) -> None:
    assert main(["train", f"hydra.run.dir=./{folder}"]) == 0
    Path(folder, "run.h5").write_bytes(b"")
    for spelt in (f"hydra.run.dir=./{folder}", f'hydra.run.dir="./{folder}"'):
        # the record of the run in this very folder is looked at, and is none
        assert f"{folder}/run.h5: damaged" in refused(capsys, "train", spelt)


def test_what_hydra_cannot_read_is_refused_with_the_form_that_works(
    calls: Calls, capsys: Say
) -> None:
    assert "must be a number > 0 (ms)" in refused(capsys, "train", "DT_MS=(1)")
    said = refused(capsys, "train", "REC_SPIKES=[a")
    assert "must be a list of populations" in said
