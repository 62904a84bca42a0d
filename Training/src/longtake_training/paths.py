"""Folders and files of the repository that the package reads and writes by default."""

from __future__ import annotations

from pathlib import Path

TRAINING = Path(__file__).resolve().parents[2]
"""The folder `Training`: the package runs from the repository, not from an installed copy."""
REPOSITORY = TRAINING.parent
REPORT = TRAINING / "report"
"""Results of training and evaluation, as JSON."""
GOLDEN = REPOSITORY / "Tests" / "Fixtures" / "golden"
"""Tensors of the reference implementation."""
LONGTAKE = REPOSITORY / ".build" / "release" / "longtake"
"""The program, as `make build` builds it."""
