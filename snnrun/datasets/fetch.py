"""Get the files of a data set: from their published address, or from a folder that has them.

Files are checked before they appear under their name; what fails leaves nothing behind.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests

from snnrun.datasets.checksums import add_record, digest, is_published, status
from snnrun.datasets.declaration import DataFile, DataSet
from snnrun.datasets.files import find_file, forget, unpack
from snnrun.errors import DataError
from snnrun.files import atomic_path, one_at_a_time
from snnrun.schema import DATASETS
from snnrun.shell import command, setting

TRIES, WAIT_S = 3, 0.5
TIMEOUT_S = (10.0, 60.0)  # for the connection, and for each piece of the answer
Say = Callable[[str], None]


def to_stderr(message: str) -> None:
    """Say a line where it does not mix with results."""
    print(message, file=sys.stderr, flush=True)


def download(dataset: DataSet, folder: Path, say: Say = to_stderr) -> None:
    """Download the published files that ``folder`` lacks; each appears once its checksum is right.

    Raises DataError where there is no connection, where what arrives is not the published file, and
    where the folder holds other files of these names, which must not be mixed with the public ones.
    """
    if not dataset.public:
        raise DataError(f"dataset {dataset.name} has no published files that could be downloaded")
    # Other jobs of a sweep wait here, and then find the files
    with _made(folder), one_at_a_time(folder):
        for file in dataset.files:
            state = status(folder, file)
            if state.path is None:
                _download_file(file, folder, say)
            elif state.public and state.intact:
                say(f"{state.path}: {state.text}")
            else:
                raise DataError(
                    f"{state.path}: {state.text}. Public files are not put beside it: remove it, "
                    "or choose another folder with dataset.path=FOLDER"
                )


def _download_file(file: DataFile, folder: Path, say: Say) -> None:
    say(f"downloading {file.url}")
    with _staging(folder) as staging:
        packed = _retrieve(file, staging)
        name = file.name if file.unpack else file.published
        # Written anew even where nothing is to be unpacked: pooch's own file is for this user only
        _place(packed, file.name if file.unpack else None, folder / name)
    add_record(folder, name, origin=f"{file.url} (md5 {file.md5})", public=True)
    say(f"{folder / name}: public file, checksum ok")


def copy_from(
    dataset: DataSet,
    source: Path,
    folder: Path,
    check: Callable[[Path], object],
    say: Say = to_stderr,
) -> None:
    """Copy the files of a data set from the folder ``source`` to ``folder``, plain or packed.

    Files other than the published ones are taken if their layout is right, which ``check`` tells by
    reading those of a folder from end to end, before the first appears; what they are is said and
    noted.
    """
    if not dataset.files:
        raise DataError(f"dataset {dataset.name} has no files: there is nothing to copy")
    if not source.is_dir():
        raise DataError(f"--from {source}: there is no such folder")
    if folder.is_dir() and folder.samefile(source):
        raise DataError(
            f"--from {source}: this is the folder itself in which the files are expected"
        )
    found = {file: _choose(source, file) for file in dataset.files}
    with _made(folder), _staging(folder) as staging:
        names = {}
        for file, path in found.items():
            is_packed = file.unpack and path.name != file.name
            names[file] = file.name if is_packed else path.name
            _place(path, file.name if is_packed else None, staging / names[file])
        try:
            check(staging)
        except DataError as error:
            raise DataError(str(error).replace(str(staging), str(source))) from error
        finally:
            for file in dataset.files:
                forget(staging / names[file])
        for file, name in names.items():
            _refuse_other(folder, file, staging / name)
        for name in names.values():
            (staging / name).replace(folder / name)
    for file, path in found.items():
        text, public = "layout ok (no checksum is published for this form of the file)", None
        if path.name == file.published and file.md5 is not None:
            public = is_published(path, file)
            text = "public file, checksum ok" if public else "not the public file: layout ok"
        add_record(folder, names[file], origin=f"copied from {path}", public=public)
        say(f"{folder / names[file]}: {text}")


def missing_text(dataset: DataSet, folder: Path, missing: Sequence[DataFile], config: Any) -> str:
    """Return the message for files that are not there: where they are expected, how to get them."""
    name = config.dataset.name
    chosen = [f"dataset={name}" if name in DATASETS else f"dataset.name={name}"]
    path = config.dataset.path
    place = chosen if path is None else [*chosen, setting("dataset.path", path)]
    fetch = command("data", "fetch", *place)
    use = command("train", *chosen, "dataset.path=FOLDER")
    lines = [
        f"dataset {dataset.name}: {', '.join(file.name for file in missing)} (or .gz, .zip of it) "
        f"expected in {folder}, which {_listing(folder)}"
    ]
    if dataset.public:
        lines.append(f"  download the public files:   {fetch}")
    lines.append(f"  copy files that you have:    {fetch} --from FOLDER")
    lines.append(f"  use them where they are:     {use}")
    if all(file.split == "test" for file in missing):
        lines.append("  do without a test set:       N_TEST=0")
    if all(file.split == "validation" for file in missing):
        lines.append("  split the training file:     EVALUATION=random N_VALIDATE=NUMBER")
    if dataset.public and config.dataset.path is None:
        lines.append("  let train download them:     dataset.fetch=true")
    return "\n".join(lines)


def _listing(folder: Path) -> str:
    if not folder.is_dir():
        return "is not a folder" if folder.exists() else "does not exist"
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f"holds {', '.join(names[:6])}{more}" if names else "is empty"


def _choose(source: Path, file: DataFile) -> Path:
    """Return the file to copy: the published one if it is there and right, else what there is."""
    published = source / file.published
    path = published if published.is_file() and is_published(published, file) else None
    path = path or find_file(source, file)
    if path is None:
        raise DataError(
            f"--from {source}: there is no {file.name} (nor .gz, nor .zip of it); the folder "
            f"{_listing(source)}"
        )
    return path


def _refuse_other(folder: Path, file: DataFile, new: Path) -> None:
    """Raise DataError where ``folder`` has other content for ``file`` already."""
    old = find_file(folder, file)
    if old is None or (old.name == new.name and digest(old, "sha256") == digest(new, "sha256")):
        return
    raise DataError(
        f"{old} is there already, with other content. Remove it, or choose another folder with "
        "dataset.path=FOLDER"
    )


def _place(path: Path, member: str | None, target: Path) -> None:
    """Copy a file, or the ``member`` that it packs, to ``target``."""
    if member is not None:
        unpack(path, member, target)
        return
    with atomic_path(target) as partial:
        shutil.copyfile(path, partial)


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make ``folder``; where the block fails and it is still empty, take it away again."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Give a folder within ``folder`` that is gone afterwards."""
    with TemporaryDirectory(dir=folder, prefix=".fetch-") as name:
        yield Path(name)


def _retrieve(file: DataFile, staging: Path) -> Path:
    """Download one file into ``staging`` and return its path; DataError if that cannot be done."""
    pooch.get_logger().setLevel("ERROR")  # the same is said here, in this program's words
    for remaining in reversed(range(TRIES)):
        try:
            return _download(file, staging)
        except requests.RequestException as error:
            answer = error.response
            final = answer is not None and answer.status_code < 500
            if remaining and not final:
                time.sleep(WAIT_S)
                continue
            raise DataError(
                f"could not download {file.url}: {_reason(error)}. Files that you have already are "
                "taken from their folder with: snnrun data fetch ... --from FOLDER"
            ) from error
        except ValueError as error:
            raise DataError(
                f"what {file.url} sent is not the published file (its MD5 is not {file.md5}); it "
                "was not kept. Try again later, or from another network"
            ) from error
    raise AssertionError("unreachable: the last try returns or raises")


def _reason(error: requests.RequestException) -> str:
    url = error.request.url if error.request is not None else None
    host = urlsplit(str(url)).netloc if url else "the server"
    if error.response is not None:
        return f"{host} answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"{host} did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return f"no connection to {host} ({type(error).__name__})"
    return f"{host}: {error}"


def _download(file: DataFile, staging: Path) -> Path:
    with _progress(file.published) as bar:
        path = pooch.retrieve(
            file.url,
            known_hash=f"md5:{file.md5}",
            fname=file.published,
            path=staging,
            downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 18, timeout=TIMEOUT_S),
        )
    return Path(path)


@contextmanager
def _progress(title: str) -> Iterator[Any]:
    """Give what pooch wants of a progress bar; False where nobody looks at a terminal."""
    if not sys.stderr.isatty():
        yield False
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress, progress.add_task(title, total=None))


class _Bar:
    """The four things that pooch asks of a progress bar, handed on to rich."""

    def __init__(self, progress: Any, task: Any) -> None:
        self.progress, self.task, self.total = progress, task, 0

    def update(self, amount: int) -> None:
        self.progress.update(self.task, total=self.total or None, advance=amount)

    def reset(self) -> None:
        self.progress.reset(self.task)

    def close(self) -> None:
        self.progress.refresh()
