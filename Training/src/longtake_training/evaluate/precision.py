"""The bundled model's answers and vision tokens in each precision: `evaluate precision`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from longtake_training.evaluate.asking import Asker, Kept, Task, about, ask_all, fingerprint, key_of, save
from longtake_training.evaluate.scoring import scored
from longtake_training.evaluate.tasks import length_tasks, short_tasks

PRECISIONS = ["f32", "bf16", "int8", "int8, language int4"]
CHECKED_FRAMES = 100
"""Frames of a recording whose vision tokens are compared."""
CHECKED = 10
"""Recordings of each length whose vision tokens are compared."""


def quantized(asker: Asker) -> Path:
    """The model with the language model in int4, in a new folder."""
    folder = Path(tempfile.mkdtemp(dir=asker.work)) / asker.model.name
    command = [str(asker.program), "model", "quantize", str(asker.model), "--language", "int4", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    return folder


def checked(asker: Asker, reference: Path, task: Task, kept: Kept) -> dict:
    """How the vision tokens differ from f32, and the next token's distribution, as `longtake model check` prints it."""
    key = key_of(["check", asker.mark, asker.precision, task.name, CHECKED_FRAMES, [q.text for q in task.asked]])
    if key not in kept.lines:
        command = [str(asker.program), "model", "check", str(asker.model), str(task.file), "--json", "--no-progress"]
        command += ["--frames", str(CHECKED_FRAMES), "--precision", str(asker.precision), "--questions", "-"]
        command += ["--reference", str(reference)] if asker.model != reference else []
        command += ["--threads", str(asker.threads)] if asker.threads else []
        asked = "".join(q.text + "\n" for q in task.asked)
        done = subprocess.run(command, input=asked, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
        found = json.loads(done.stdout)
        divergence = max(answer["first_token_kl"] for answer in found["answers"])
        kept.add({"key": key, "name": task.name, **found["vision_tokens"], "divergence": divergence})
    return kept.lines[key]


def changed(lines: list[dict], reference: list[dict]) -> int:
    """Answers whose text is not that of f32."""
    given = {(line["name"], a["text"]): a["given"] for line in reference for a in line["answers"]}
    return sum(given[line["name"], a["text"]] != a["given"] for line in lines for a in line["answers"])


def precision(args: argparse.Namespace) -> None:
    original = dataclasses.replace(Asker.of(args), fusion="auto")
    limit = int(args.questions)
    groups = {
        "short": short_tasks(args, args.count, limit),
        "600": length_tasks(args, 600, args.long, limit),
        "10800": length_tasks(args, 10_800, max(1, args.long // 2), limit),
    }
    kept = Kept(args.work / "precision.jsonl")
    folder = quantized(original)
    result: dict[str, dict] = {}
    every: list[str] = []
    reference: list[dict] = []
    try:
        for name in PRECISIONS:
            asker = dataclasses.replace(original, precision=name.split(",")[0])
            if "int4" in name:
                asker = dataclasses.replace(asker, model=folder, mark=fingerprint(folder))
            lines, parts, failures = [], {}, []
            for group, tasks in groups.items():
                found, failed = ask_all(asker, tasks, kept)
                parts[group] = scored(found)["overall"]
                lines, failures = lines + found, failures + failed
            reference = reference or lines
            result[name] = {**scored(lines), "groups": parts, "failed": failures}
            every += failures
            result[name]["changed"] = changed(lines, reference)
            if name != "f32":
                compared = [checked(asker, original.model, task, kept) for t in groups.values() for task in t[:CHECKED]]
                result[name]["vision tokens"] = {
                    "recordings": len(compared),
                    "count": sum(c["count"] for c in compared),
                    "lowest cosine": min(c["lowest_cosine"] for c in compared),
                    "divergence": max(c["divergence"] for c in compared),
                }
            print(name, result[name]["overall"], result[name].get("vision tokens", ""), flush=True)
    finally:
        shutil.rmtree(folder.parent)
    command = (
        f"python -m longtake_training.evaluate precision --model MODEL --work WORK --count {args.count} "
        f"--long {args.long} --questions {limit}"
    )
    save(args.out, "precision", {**about(original, command), "precisions": result})
    if every:
        sys.exit(f"{len(every)} failed")
