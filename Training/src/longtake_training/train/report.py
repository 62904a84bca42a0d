"""Writes the record of a training to Training/report: log, seeds, steps, and the loss curve as an image.

    python -m longtake_training.train.report --work out/training

`scripts/training train` runs it after the training.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from longtake_training import arguments, paths
from longtake_training.train import stages

STAGES = list(stages.STEPS)


def renamed(line: dict) -> dict:
    """A line of the log with the stage's present name."""
    stage, *held_out = line["stage"].split(" ", 1)
    return line | {"stage": " ".join([stages.FORMER_NAMES.get(stage, stage), *held_out])}


def kept(lines: list[dict]) -> list[dict]:
    """Removes repeated steps: if a stage was resumed or restarted, only its last run counts."""
    result: list[dict] = []
    for line in map(renamed, lines):
        result = [old for old in result if old["stage"] != line["stage"] or old["step"] < line["step"]]
        result.append(line)
    names = {name for stage in STAGES for name in (stage, f"{stage} held out")}
    return [line for line in result if line["stage"] in names]


def curve(lines: list[dict], file: Path) -> None:
    """Plots loss and held-out accuracy of each stage side by side."""
    shown = [s for s in STAGES if any(line["stage"] == s for line in lines)]
    figure, axes = plt.subplots(2, len(shown), figsize=(3 * len(shown), 5.5), squeeze=False)
    for column, stage in enumerate(shown):
        own = [line for line in lines if line["stage"] == stage and "loss" in line]
        axes[0][column].plot([line["step"] for line in own], [line["loss"] for line in own], lw=1)
        axes[0][column].set_yscale("log")
        axes[0][column].set_title(stage)
        held_out = [line for line in lines if line["stage"] == f"{stage} held out"]
        for key in ["all", "things", "shape", "board", "after", "first", "on things", "recall at 1"]:
            points = [(line["step"], line[key]) for line in held_out if key in line]
            if points:
                axes[1][column].plot(*zip(*points, strict=True), marker=".", label=key)
        axes[1][column].set_ylim(0, 1.02)
        axes[1][column].set_xlabel("step")
        if held_out:
            axes[1][column].legend(fontsize=7)
    axes[0][0].set_ylabel("loss")
    axes[1][0].set_ylabel("right, held out")
    figure.tight_layout()
    figure.savefig(file, dpi=90)


def main() -> None:
    parser = arguments.parser("train.report", __doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--report", type=Path, default=paths.REPORT)
    options = parser.parse_args()
    options.report.mkdir(parents=True, exist_ok=True)
    lines = kept([json.loads(line) for line in (options.work / "log.jsonl").read_text().splitlines()])
    (options.report / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = {
        "steps": stages.STEPS,
        "seeds": stages.SEEDS,
        "pictures": stages.PICTURES,
        "recordings": stages.RECORDINGS,
        "more recordings": stages.MORE,
        "held out": stages.HELD_OUT,
        "longest recording": stages.LONGEST,
    }
    (options.report / "settings.json").write_text(json.dumps(settings, indent=1) + "\n")
    curve(lines, options.report / "curve.png")


if __name__ == "__main__":
    main()
