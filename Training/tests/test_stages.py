"""Work folders, banks and logs from before stages and modules had their present names."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from longtake_training.train import feature_bank, stages
from longtake_training.train.feature_bank import Bank, Entry
from longtake_training.world import scene


def test_files_of_former_stage_names_are_renamed(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_text("weights")
    (tmp_path / "last.done").touch()
    (tmp_path / "clip.part").touch()
    work = stages.Work.__new__(stages.Work)
    work.folder = tmp_path
    work.rename_stages()
    assert work.done(stages.LAST)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "contrastive.part",
        "hard-questions.done",
        "hard-questions.pt",
    ]


def test_former_names_lead_to_stages() -> None:
    assert set(stages.FORMER_NAMES.values()) <= stages.STEPS.keys()
    assert not stages.FORMER_NAMES.keys() & stages.STEPS.keys()


def test_a_bank_with_the_former_module_names_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Bank([Entry(scene.random_recording(1, "train"), [(0, 3)], 0)], torch.zeros(1, 36, 128))
    classes = {"bank": [Bank, Entry], "world": [scene.Recording, scene.Thing, scene.Look]}
    with monkeypatch.context() as patch:
        for name, members in classes.items():
            module = ModuleType(name)
            patch.setitem(sys.modules, name, module)
            for member in members:
                patch.setattr(member, "__module__", name)
                setattr(module, member.__name__, member)
        torch.save(bank, tmp_path / "bank.pt")
    assert b"longtake_training" not in (tmp_path / "bank.pt").read_bytes()
    again = feature_bank.load(tmp_path / "bank.pt")
    assert again.entries == bank.entries
    assert type(again.entries[0].recording) is scene.Recording


def test_the_report_reads_former_names() -> None:
    pytest.importorskip("matplotlib")
    from longtake_training.train import report

    lines = [{"stage": name, "step": step} for name, step in [("topic", 50), ("topic held out", 50), ("tower", 100)]]
    assert [line["stage"] for line in report.kept(lines)] == ["attention", "attention held out", "tower"]
