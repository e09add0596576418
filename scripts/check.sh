#!/usr/bin/env bash
# Lint, types and tests with the tools of the current environment (pip install -e '.[dev]').
# Words are handed on to pytest: scripts/check.sh -k resume
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python -m ruff check .
python -m ruff format --check .
python -m mypy
python -m pytest -n auto "$@"
