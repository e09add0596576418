"""Fetching: downloads from a server on this machine, copies from folders, clean failures."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from samples import make_config, write_shd

from snnrun.config import from_dict
from snnrun.datasets import DataSet, load
from snnrun.datasets import fetch as fetch_module
from snnrun.datasets.checksums import status
from snnrun.datasets.contents import contents_in
from snnrun.datasets.fetch import download
from snnrun.datasets.mnist import MNIST
from snnrun.datasets.shd import SHD
from snnrun.errors import DataError


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, counts what is asked for, and answers 503 as often as it is told to."""

    asked: list[str] = []  # noqa: RUF012  one server at a time, emptied by the fixture
    busy = 0

    def do_GET(self) -> None:
        Handler.asked.append(self.path)
        if Handler.busy > 0:
            Handler.busy -= 1
            self.send_error(503)
            return
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()
    Handler.asked, Handler.busy = [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "WAIT_S", 0.0)


def closed_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def published_at(dataset: DataSet, address: str, folder: Path) -> DataSet:
    """Return ``dataset`` with its files published at ``address``, as they lie in ``folder``."""
    files = []
    for file in dataset.files:
        path = folder / file.published
        md5 = hashlib.md5(path.read_bytes()).hexdigest() if path.is_file() else "0" * 32
        files.append(replace(file, url=f"{address}/{file.published}", md5=md5))
    return replace(dataset, files=tuple(files))


@pytest.fixture
def shd_site(site: tuple[Path, str], shd_folder: Path) -> DataSet:
    folder, address = site
    for path in shd_folder.iterdir():
        with zipfile.ZipFile(folder / f"{path.name}.zip", "w") as archive:
            archive.write(path, path.name)
    return published_at(SHD, address, folder)


def copy_from(
    dataset: DataSet, source: Path, target: Path, say: Callable[[str], None] = print
) -> None:
    config = from_dict({"dataset": dataset.name})
    check = partial(contents_in, config=config, dataset=dataset)
    fetch_module.copy_from(dataset, source, target, check, say)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_published_files_are_downloaded_checked_and_unpacked(
    tmp_path: Path, shd_site: DataSet, shd_folder: Path
) -> None:
    said: list[str] = []
    target = tmp_path / "new" / "shd"
    download(shd_site, target, said.append)
    assert names(target) == ["shd_test.h5", "shd_train.h5", "snnrun-files.json"]
    for name in ("shd_test.h5", "shd_train.h5"):
        assert (target / name).read_bytes() == (shd_folder / name).read_bytes()
    assert said[1].endswith("shd_train.h5: public file, checksum ok")
    assert all(status(target, file).public for file in shd_site.files)


def test_files_that_are_there_are_not_downloaded_again(tmp_path: Path, shd_site: DataSet) -> None:
    target = tmp_path / "shd"
    target.joinpath("shd_train.h5").unlink()
    target.joinpath("shd_test.h5").unlink()
    download(shd_site, target)
    (target / "shd_test.h5").unlink()
    Handler.asked.clear()
    download(shd_site, target)
    assert Handler.asked == ["/shd_test.h5.zip"]


def test_files_that_the_reader_can_open_stay_packed(
    tmp_path: Path, site: tuple[Path, str], mnist_folder: Path
) -> None:
    folder, address = site
    for path in mnist_folder.iterdir():
        shutil.copy(path, folder)
    target = tmp_path / "new"
    download(published_at(MNIST, address, folder), target)
    assert len(names(target)) == 5
    assert (target / "t10k-labels-idx1-ubyte.gz").stat().st_mode & 0o044  # not for its maker only


def test_what_is_not_the_published_file_is_not_kept(
    tmp_path: Path, site: tuple[Path, str], shd_site: DataSet
) -> None:
    (site[0] / "shd_train.h5.zip").write_bytes(b"something else")
    with pytest.raises(
        DataError, match=r"shd_train.h5.zip sent is not the published file .its MD5"
    ):
        download(shd_site, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_not_served_is_asked_for_once(
    tmp_path: Path, site: tuple[Path, str], shd_site: DataSet
) -> None:
    (site[0] / "shd_test.h5.zip").unlink()
    with pytest.raises(DataError, match=r"127.0.0.1:\d+ answered 404"):
        download(shd_site, tmp_path / "new")
    assert Handler.asked == ["/shd_train.h5.zip", "/shd_test.h5.zip"]
    assert names(tmp_path / "new") == ["shd_train.h5", "snnrun-files.json"]


def test_a_busy_server_is_asked_again_a_few_times(tmp_path: Path, shd_site: DataSet) -> None:
    Handler.busy = 2
    download(shd_site, tmp_path / "new")
    assert Handler.asked.count("/shd_train.h5.zip") == 3
    Handler.busy = 99
    with pytest.raises(DataError, match="answered 503"):
        download(shd_site, tmp_path / "newer")
    assert not (tmp_path / "newer").exists()


def test_without_a_connection_the_error_comes_soon_and_nothing_is_left(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(
        DataError, match=r"could not download .* no connection to 127.0.0.1.*--from"
    ):
        download(published_at(SHD, closed_address(), tmp_path), tmp_path / "new")
    assert time.monotonic() - started < 5
    assert not (tmp_path / "new").exists()


def test_a_terminal_shows_a_bar_for_each_file(
    tmp_path: Path, shd_site: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    download(shd_site, tmp_path / "new", lambda line: None)
    assert "shd_test.h5.zip" in terminal.getvalue()
    assert "0:00:00" in terminal.getvalue()  # nothing remains: the bar was filled


def test_public_files_are_not_mixed_with_others(
    tmp_path: Path, shd_site: DataSet, shd_folder: Path
) -> None:
    (shd_folder / "shd_test.h5").unlink()
    with pytest.raises(DataError, match=r"shd_train.h5: origin unknown.*not put beside it"):
        download(shd_site, shd_folder)
    assert Handler.asked == []
    assert names(shd_folder) == ["shd_train.h5"]


def test_load_fetches_what_its_default_folder_lacks(
    tmp_path: Path, shd_site: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnrun.datasets.shd.SHD", shd_site)
    splits = load(make_config(dataset={"name": "shd", "fetch": True}))
    assert len(splits.train) == 40
    assert names(tmp_path / "cache/snnrun/data/shd")[0] == "shd_test.h5"
    monkeypatch.setenv("SNNRUN_DATA", str(tmp_path / "my data"))
    load(make_config(dataset={"name": "shd", "fetch": True}))
    assert len(names(tmp_path / "my data" / "shd")) == 3


@pytest.mark.parametrize("dataset", [{"fetch": False}, {"fetch": True, "path": "named"}])
def test_load_does_not_fetch_where_it_should_not(
    tmp_path: Path, shd_site: DataSet, monkeypatch: pytest.MonkeyPatch, dataset: dict[str, Any]
) -> None:
    monkeypatch.setattr("snnrun.datasets.shd.SHD", shd_site)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        load(make_config(dataset={"name": "shd"} | dataset))
    text = str(caught.value)
    assert "shd_train.h5, shd_test.h5 (or .gz, .zip of it) expected in" in text
    assert "snnrun data fetch dataset=shd" in text
    assert "--from FOLDER" in text
    assert ("dataset.fetch=true" in text) == (not dataset["fetch"])
    assert Handler.asked == []
    assert not (tmp_path / "named").exists()


def test_the_published_files_are_recognised_in_a_folder(
    tmp_path: Path, site: tuple[Path, str], shd_site: DataSet
) -> None:
    said: list[str] = []
    copy_from(shd_site, site[0], tmp_path / "new", said.append)
    assert [line.rpartition(": ")[2] for line in said] == ["public file, checksum ok"] * 2
    assert names(tmp_path / "new") == ["shd_test.h5", "shd_train.h5", "snnrun-files.json"]
    assert all(status(tmp_path / "new", file).public for file in shd_site.files)


def test_other_files_of_the_same_layout_are_taken_and_called_so(
    tmp_path: Path, mnist_folder: Path, shd_folder: Path
) -> None:
    said: list[str] = []
    copy_from(MNIST, mnist_folder, tmp_path / "m", said.append)
    assert said[0].endswith("train-images-idx3-ubyte.gz: not the public file: layout ok")
    assert status(tmp_path / "m", MNIST.files[0]).text.startswith("not the public file; copied fr")
    copy_from(SHD, shd_folder, tmp_path / "s", said.append)
    assert said[-1].endswith("layout ok (no checksum is published for this form of the file)")
    assert status(tmp_path / "s", SHD.files[0]).text.startswith("unchanged since it was copied fr")
    copy_from(SHD, shd_folder, tmp_path / "s", said.append)  # the same again changes nothing
    assert len(said) == 8


def test_a_folder_with_gz_files_is_unpacked_while_copying(tmp_path: Path, shd_folder: Path) -> None:
    source = tmp_path / "packed"
    source.mkdir()
    for path in shd_folder.iterdir():
        (source / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    copy_from(SHD, source, tmp_path / "new")
    for path in shd_folder.iterdir():
        assert (tmp_path / "new" / path.name).read_bytes() == path.read_bytes()
    assert names(source) == ["shd_test.h5.gz", "shd_train.h5.gz"]


def test_nothing_is_copied_where_one_file_is_damaged_or_missing(
    tmp_path: Path, shd_folder: Path
) -> None:
    path = shd_folder / "shd_test.h5"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=rf"^{shd_folder}/shd_test.h5 is not a whole HDF5 file"):
        copy_from(SHD, shd_folder, tmp_path / "new")
    path.unlink()
    with pytest.raises(DataError, match=r"there is no shd_test.h5 .*the folder holds shd_train.h5"):
        copy_from(SHD, shd_folder, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_files_that_are_there_are_not_replaced_by_others(tmp_path: Path, shd_folder: Path) -> None:
    target = tmp_path / "target"
    write_shd(target / "shd_test.h5", [([0.1], [1])])
    content = (target / "shd_test.h5").read_bytes()
    with pytest.raises(DataError, match=r"shd_test.h5 is there already, with other content"):
        copy_from(SHD, shd_folder, target)
    assert names(target) == ["shd_test.h5"]
    assert (target / "shd_test.h5").read_bytes() == content


def test_a_folder_that_cannot_be_a_source_is_refused(tmp_path: Path, shd_folder: Path) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        copy_from(SHD, tmp_path / "nowhere", tmp_path / "new")
    with pytest.raises(DataError, match="this is the folder itself"):
        copy_from(SHD, shd_folder, shd_folder)


def test_a_file_that_changed_since_it_was_fetched_is_noticed(
    tmp_path: Path, shd_folder: Path
) -> None:
    copy_from(SHD, shd_folder, tmp_path / "new")
    path = tmp_path / "new" / "shd_train.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    state = status(tmp_path / "new", SHD.files[0])
    assert (state.intact, state.text) == (False, "changed since it was fetched")
    record = tmp_path / "new" / "snnrun-files.json"
    assert set(json.loads(record.read_text())) == {"shd_train.h5", "shd_test.h5"}
    record.write_text("{")
    with pytest.raises(DataError, match=r"snnrun-files.json is damaged .*delete it"):
        status(tmp_path / "new", SHD.files[0])
