"""Every command explains itself, and docs/evaluation.md is the page that the results in Training/report give."""

from __future__ import annotations

import argparse
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from longtake_training import paths
from longtake_training.evaluate import page

COMMANDS = {
    "world.recordings": [],
    "train": ["torch", "tokenizers", "safetensors"],
    "train.ablation": ["torch", "tokenizers"],
    "train.detail": ["torch", "tokenizers", "safetensors"],
    "train.report": ["torch", "tokenizers", "matplotlib"],
    "evaluate": [],
    "evaluate.alerts": [],
    "evaluate.compression": [],
    "evaluate.forms": [],
    "evaluate.index": [],
    "evaluate.reuse": [],
    "measure": [],
    "measure.perplexity": [],
    "oracles.attention": ["torch", "safetensors"],
    "oracles.llava": ["torch", "safetensors"],
    "oracles.golden": ["torch", "safetensors"],
    "oracles.answers": ["torch", "tokenizers", "safetensors"],
    "oracles.embeddings": ["torch", "tokenizers", "safetensors"],
}
"""Modules and the packages they need beyond numpy and Pillow."""


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_the_command(name: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in COMMANDS[name]:
        pytest.importorskip(package)
    module = f"longtake_training.{name}"
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as end:
        runpy.run_module(module, run_name="__main__")
    assert end.value.code == 0
    assert f"usage: python -m {module} " in " ".join(capsys.readouterr().out.split())


def test_measure_needs_the_standard_library_only() -> None:
    command = [sys.executable, "-S", "-m", "longtake_training.measure", "--help"]
    environment = {"PYTHONPATH": str(paths.TRAINING / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert subprocess.run(command, env=environment, capture_output=True).returncode == 0


def test_documented_modules_exist() -> None:
    pages = [
        *(paths.REPOSITORY / "docs").glob("*.md"),
        paths.REPOSITORY / "Makefile",
        paths.REPOSITORY / "scripts/training",
    ]
    text = "\n".join(file.read_text() for file in pages)
    names = set(re.findall(r"-m longtake_training\.([a-z.]+[a-z])", text))
    assert names
    assert names <= COMMANDS.keys()


def test_the_evaluation_page_is_the_one_the_results_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "needle", lambda parts, file: None)
    page.report(argparse.Namespace(report=paths.REPORT, out=tmp_path))
    assert (tmp_path / "evaluation.md").read_text() == (paths.REPOSITORY / "docs" / "evaluation.md").read_text()
