"""Settings that all tests share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Programs that tests build are kept between tests and between runs of the suite, apart from the
# user's.
os.environ.setdefault("SNNRUN_CACHE", str(Path(tempfile.gettempdir()) / "snnrun-test-cache"))
