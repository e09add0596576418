"""The commands that take NIR files, and weights that projections start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnrun import load_run
from snnrun.cli import main
from snnrun.config import from_dict
from snnrun.errors import ConfigError
from snnrun.network.build import build_network, initial_weights

SMALL = ["dataset=yinyang", "preset=none", "N_TRAIN=32", "N_VALIDATE=0", "N_TEST=32", "DT_MS=1"]


@pytest.mark.long
def test_a_file_is_tested_by_one_command_and_kept_with_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("nir", reason="needs the package nir: pip install '.[nir]'")
    from nir_files import affine, cuba, graph, saved

    weight = np.random.default_rng(1).normal(1.0, 0.5, (3, 5))
    file = saved(graph({"w": affine(weight), "n": cuba(3)}, "input w n output", [5]), tmp_path)
    folder = tmp_path / "run"
    words = ["network=nir", f"network.file={file}", "LOSS_TYPE=max", "backend=numpy"]
    assert main(["test", *words, *SMALL, f"hydra.run.dir={folder}"]) == 0
    Path(file).unlink()
    assert main(["test", str(folder)]) == 0
    first, second = load_run(folder).tests
    assert first.weights.epochs == 0
    assert first.figures["loss"] == second.figures["loss"]
    capsys.readouterr()
    assert main(["train", *words, *SMALL]) == 2
    assert f"network.file={file}: there is no such file" in capsys.readouterr().err


def of_weights(file: Path, **more: object) -> dict[str, object]:
    forward = {"weights": str(file), **more}
    return {"network.layers": [{"size": 4, "forward": forward}]}


def test_a_projection_starts_from_the_weights_of_a_file(tmp_path: Path) -> None:
    weights = np.arange(12.0).reshape(3, 4)
    np.save(tmp_path / "start.npy", weights)
    keys = of_weights(tmp_path / "start.npy")
    network = build_network(from_dict(keys), 3, 2)
    assert np.array_equal(initial_weights(network, 1)["in_to_hid"], weights)
    with pytest.raises(ConfigError, match=r"has the shape \[3, 4\]; these synapses have weights"):
        build_network(from_dict(keys), 5, 2)
    with pytest.raises(ConfigError, match=r"mean=1.0: has no effect beside weights"):
        from_dict(of_weights(tmp_path / "start.npy", mean=1.0))
    with pytest.raises(ConfigError, match="must be numbers from -inf to 0"):
        build_network(from_dict(of_weights(tmp_path / "start.npy", sign=-1)), 3, 2)
