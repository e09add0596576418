"""Other words for keys and values: each leads to a setting that works as it is printed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from long import long_but
from runs import composed

from snnrun.cli import main
from snnrun.commands.keys import find
from snnrun.config import from_dict, validate
from snnrun.errors import ConfigError
from snnrun.keys import synonyms
from snnrun.keys.files import read_yaml
from snnrun.keys.synonyms import Meaning, meanings, of_words, plain_word
from snnrun.schema import SCHEMA
from snnrun.schema.hints import unknown_key

GIVEN = {
    "NAME": "mine",
    "OUT_DIR": "out",
    "dataset.path": "data",
    "backend.compiler": "g++",
    "TRIAL_MS": "60",
}
VALUES = read_yaml(Path(synonyms.__file__).with_name("words.yaml"))["values"]
SURROGATE = "rule=surrogate dataset=shd"
NEEDED = {
    "rule.scale": SURROGATE,
    "rule.surrogate": SURROGATE,
    "rule=surrogate": "dataset=shd",
    "rule=eprop": "dataset=shd",
    "backend.device": "backend=genn",
    "TAU_B": "HIDDEN_NEURON_TYPE=ALIF",
    "NU_UPPER": "REG_TYPE=simple",
    "EVALUATION": "preset=none",
    "dataset.path": "dataset=shd",
    "dataset.fetch": "dataset=shd",
    "ETA_DELAY": "network.layers=[{forward:{delay:{max:3,train:true}}}]",
}


def accepted(setting: str) -> None:
    """Compose and check a setting as `snnrun train` would, with what it has an effect beside."""
    more = [words for start, words in NEEDED.items() if setting.startswith(start)]
    validate(composed(*" ".join(more).split(), *shlex.split(setting)))


def sample(name: str) -> str:
    """Return a value that somebody might give for a key."""
    key = SCHEMA.get(name) or SCHEMA[f"{name}.name"]
    if key.choices:
        return key.choices[0]
    if name in GIVEN:
        return GIVEN[name]
    return next(v for v in ("0.5", "3", "true", "[3]", "{}", "x") if not key.convert(eval_(v))[1])


def eval_(text: str) -> object:
    return {"[3]": ["-g"], "{}": {}}.get(text, text)


@pytest.mark.parametrize(
    "meaning", long_but(meanings(), meanings()[::3], lambda m: m.words.split(",")[0])
)
def test_what_a_word_stands_for_exists_and_is_accepted(meaning: Meaning) -> None:
    assert set(meaning.keys) <= set(SCHEMA)
    word = meaning.words.split(",")[0].replace(" ", "_")
    for value, setting in meaning.settings.items():
        assert unknown_key(word, value).endswith(f": {setting}")
        accepted(setting)
    if meaning.setting:
        name = meaning.setting.partition("=")[0]
        value = sample(name)
        said = unknown_key(word, value)
        assert said == f"{word}: there is no such key; {meaning.says}: {name}={value}"
        if value not in ("[3]", "{}"):
            accepted(f"{name}={value}")


def test_every_word_has_one_meaning_and_is_no_key() -> None:
    words = [plain_word(word) for meaning in meanings() for word in meaning.words.split(",")]
    assert len(words) == len(set(words)) == len(of_words())
    assert not set(words) & {plain_word(name) for name in SCHEMA}


@pytest.mark.parametrize(
    ("key", "entry"), [(key, entry) for key, found in VALUES.items() for entry in found]
)
def test_another_word_for_a_value_leads_to_one_that_is_accepted(
    key: str, entry: dict[str, str]
) -> None:
    for word in entry["words"].split(","):
        problem = SCHEMA[key].convert(word.strip().replace(" ", "_"))[1]
        assert f" Did you mean {entry['use']}?" in problem
    accepted(entry["use"])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["lr=0.01"], "lr: there is no such key; ETA is the learning rate: ETA=0.01"),
        (["-m", "lr=1e-3,1e-2"], "ETA=1e-3,1e-2"),
        (["lr=fast"], "ETA is the learning rate; ETA must be a number > 0"),
        (["train.lr=0.01"], "ETA=0.01"),
        (["learing_rate=0.01"], "ETA=0.01"),
        (["+batch_size=64"], "N_BATCH=64"),
        (["model.hidden_size=128"], "NUM_HIDDEN=128"),
        (["dataset.batch_size=8"], "N_BATCH=8"),
        (["seed=1"], "MODEL_SEED=1"),
        (["epochs=5"], "N_EPOCH=5"),
        (["n_epochs=5"], "N_EPOCH=5"),
        (["early_stopping=5"], ": PATIENCE=5"),
        (["optimizer=adamw"], "optimiser=adamw"),
        (["weight_decay=0.1"], "optimiser.weight_decay is that of optimiser=adamw, sgd"),
        (["grad_clip=0.5"], "optimiser.clip_norm=0.5"),
        (["device=cuda"], "backend=genn backend.device=cuda"),
        (["device=cuda:1"], "backend=genn backend.device=cuda backend.device_id=1"),
        (["gpu=false"], "backend=native"),
        (["loss=cross_entropy"], "LOSS_TYPE=avg_xentropy"),
        (["data=fashion"], "dataset=mnist"),
        (["rule=bptt"], "Did you mean rule=surrogate? Backpropagation through time"),
        (["backend=gpu"], "Did you mean backend=genn backend.device=cuda? A GPU is"),
        (["backend=torch"], "backend=native"),
        (["dataset=fashion"], "Did you mean dataset=mnist?"),
        (["HIDDEN_NEURON_TYPE=lif"], "Did you mean 'LIF'?"),
        (["CHECKPOINT_BEST=none"], "Did you mean CHECKPOINT_BEST=neither?"),
        (["--lr", "0.01"], "Settings are given as KEY=VALUE: ETA is the learning rate: ETA=0.01"),
        (["--batch-size=64"], "N_BATCH=64"),
        (["--n-epoch", "3"], "Settings are given as KEY=VALUE: N_EPOCH=3"),
        (["PDROP=0.1"], "it is called PDROP_INPUT: PDROP_INPUT=0.1"),
        (["PROFILE=true"], "here it is not needed: `TIMING` records times of GeNN's kernels"),
    ],
)
def test_words_of_other_programs_are_answered_with_what_to_give(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == 2
    assert hint in capsys.readouterr().err


def test_a_mapping_and_a_resume_are_answered_likewise() -> None:
    with pytest.raises(ConfigError, match="N_BATCH is the size of a mini-batch: N_BATCH=64"):
        from_dict({"dataset": "yinyang", "batch_size": 64})
    with pytest.raises(ConfigError, match="Did you mean rule=surrogate"):
        from_dict({"dataset": "yinyang", "rule": "bptt"})


@pytest.mark.parametrize(
    ("phrase", "first"),
    [
        ("lr", "ETA"),
        ("learning rate", "ETA"),
        ("batch_size", "N_BATCH"),
        ("Batch Size", "N_BATCH"),
        ("epochs", "N_EPOCH"),
        ("seed", "MODEL_SEED"),
        ("gpu", "backend.device"),
        ("cuda", "backend.device"),
        ("hidden_size", "NUM_HIDDEN"),
        ("dropout", "PDROP_INPUT"),
        ("optimiser", "optimiser.name"),
        ("optimizer", "optimiser.name"),
        ("weight decay", "optimiser.weight_decay"),
        ("momentum", "optimiser.momentum"),
        ("early stopping", "PATIENCE"),
        ("patience", "PATIENCE"),
        ("min", "TIME_LIMIT"),
        ("time constant", "TAU_MEM"),
        ("refractory period", "TAU_REF"),
        ("hidden layers", "N_HID_LAYER"),
        ("softmax", "LOSS_TYPE"),
        ("leaky integrator", "OUTPUT_NEURON_TYPE"),
    ],
)
def test_keys_are_found_by_what_they_mean(phrase: str, first: str) -> None:
    found = find(phrase.split())
    assert found.keys[0].name == first
    assert len(found.keys) <= 20


def test_keys_are_found_by_their_unit() -> None:
    found = {key.name for key in find(["ms"]).keys}
    assert found == {key.name for key in SCHEMA.values() if key.unit == "ms"}
    assert {key.name for key in find(["hz"]).keys} == {"dataset.rate", "dataset.background"}


def test_a_search_says_what_is_meant_and_shows_few_keys_in_full(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["keys", "learning", "rate"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("ETA is the learning rate\n\nETA\n    Learning rate.")
    assert text.count("allowed: ") == 4
    assert "\n  rule.r0 " in text
    assert main(["keys", "ms"]) == 0
    text = capsys.readouterr().out
    assert "allowed: " not in text
    assert max(map(len, text.splitlines())) <= 92


def test_keys_of_the_reference_are_answered_with_what_became_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("PROFILE", "pdrop", "DATA_BUFFER_NAME"):
        assert main(["keys", name]) == 2
        assert "the reference (genn_eventprop" in capsys.readouterr().err
    assert main(["keys", "N_TRAIN"]) == 0
    assert "other than in the reference" in capsys.readouterr().out
