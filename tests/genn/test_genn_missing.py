"""What users see where PyGeNN, its backends or a compiler are missing: each message, without it."""

from __future__ import annotations

import sys
import types
from importlib import metadata
from pathlib import Path

import pytest
from runs import small

from snnrun.backends.genn import pygenn as finding
from snnrun.commands import doctor
from snnrun.errors import BuildError
from snnrun.run import train

GENN = {"name": "genn"}


def install(monkeypatch: pytest.MonkeyPatch, version: str | None, devices: tuple[str, ...]) -> None:
    """Let a PyGeNN of this version and with these backends be installed, or none."""

    def version_of(name: str) -> str:
        if name == "pygenn" and version:
            return version
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(finding.metadata, "version", version_of)
    monkeypatch.setattr(finding, "cuda_devices", lambda: [(9, 0)])
    for name in ("pygenn", "pygenn.genn_model"):
        module = types.ModuleType(name)
        module.backend_modules = dict.fromkeys(devices)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)


def test_no_pygenn_says_how_to_get_it_and_what_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, None, ())
    with pytest.raises(BuildError, match="needs PyGeNN, which is not installed") as caught:
        train(small(backend=GENN), tmp_path)
    for words in ("libffi", "CUDA_PATH", finding.GUIDE, "something else", "backend=native"):
        assert words in str(caught.value)


@pytest.mark.parametrize("version", ["4.9.0", "5.3.1", "6.0.0"])
def test_a_version_that_does_not_fit_is_refused(
    version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, version, ("single_threaded_cpu",))
    with pytest.raises(BuildError, match=f"PyGeNN {version} is installed; .* needs 5.4"):
        train(small(backend=GENN), tmp_path)


def test_a_pygenn_that_cannot_be_imported_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "5.4.0", ())
    monkeypatch.setitem(sys.modules, "pygenn", None)
    with pytest.raises(BuildError, match=r"5.4.0 is installed but cannot be imported"):
        train(small(backend=GENN), tmp_path)


@pytest.mark.parametrize(
    ("device", "cure"), [("cuda", "libcuda.so.1 is not found"), ("hip", "set HIP_PATH")]
)
def test_a_backend_that_pygenn_lacks_is_refused_with_those_it_has(
    device: str, cure: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "5.4.0", ("single_threaded_cpu",))
    with pytest.raises(BuildError, match=f"backend.device={device}: .* it has: single_thr") as said:
        train(small(backend={**GENN, "device": device}), tmp_path)
    assert cure in str(said.value)


def test_cuda_without_its_compiler_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "5.4.0", ("cuda", "single_threaded_cpu"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_PATH", raising=False)
    with pytest.raises(BuildError, match=r"compiles with nvcc, .* \$CUDA_PATH: it is not set"):
        train(small(backend=GENN), tmp_path)  # the first that there is
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    with pytest.raises(BuildError, match="where there is no bin/nvcc"):
        train(small(backend=GENN), tmp_path)


def test_the_preferred_backend_is_taken_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for devices, expected in (
        (("single_threaded_cpu", "cuda"), "cuda"),
        (("single_threaded_cpu", "hip"), "hip"),
        (("single_threaded_cpu",), "single_threaded_cpu"),
    ):
        install(monkeypatch, "5.4.0", devices)
        assert finding.choose_device(sys.modules["pygenn"], None) == expected


def test_cuda_without_a_gpu_is_refused_and_not_taken_by_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "5.4.0", ("cuda", "single_threaded_cpu"))
    monkeypatch.setattr(finding, "cuda_devices", list)
    assert finding.choose_device(sys.modules["pygenn"], None) == "single_threaded_cpu"
    with pytest.raises(BuildError, match=r"backend.device=cuda: the driver shows no GPU"):
        train(small(backend={**GENN, "device": "cuda"}), tmp_path)


def test_doctor_says_whether_genn_can_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, None, ())
    assert "not installed" in lines_of_doctor(capsys)["PyGeNN"]
    install(monkeypatch, "5.3.0", ("single_threaded_cpu",))
    assert "needs 5.4" in lines_of_doctor(capsys)["PyGeNN"]
    install(monkeypatch, "5.4.0", ("cuda", "single_threaded_cpu"))
    assert "cuda, single_threaded_cpu" in lines_of_doctor(capsys)["PyGeNN"]


def lines_of_doctor(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    doctor.run([])
    out = capsys.readouterr().out
    return {line[:16].strip(): line[16:] for line in out.splitlines() if line[:1].strip()}
