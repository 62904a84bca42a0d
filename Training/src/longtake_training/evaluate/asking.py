"""Asks the program about recordings through `longtake run`, and keeps its answers."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from longtake_training.world import recordings
from longtake_training.world.questions import Question

MAX_TOKENS = 96


@dataclass
class Asker:
    """The program, a model and a work folder."""

    program: Path
    model: Path
    work: Path
    threads: int | None
    mark: str
    fusion: str = "exact"
    precision: str | None = None

    @staticmethod
    def of(args: argparse.Namespace) -> Asker:
        args.work.mkdir(parents=True, exist_ok=True)
        return Asker(
            args.longtake.resolve(), args.model.resolve(), args.work.resolve(), args.threads, fingerprint(args.model)
        )

    def ask(self, name: str, file: Path, asked: list[Question], fps: float) -> dict:
        """Indexes the file in a temporary cache, asks all questions, and removes the index."""
        folder = self.work / "runs" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "pipeline.yaml").write_text(pipeline(file, asked, fps, self.fusion, self.precision))
        command = [
            str(self.program),
            "run",
            str(folder / "pipeline.yaml"),
            "--json",
            "--no-progress",
            "--model",
            str(self.model),
            "--cache-dir",
            str(folder / "cache"),
            "--data-dir",
            str(folder / "data"),
        ]
        command += ["--threads", str(self.threads)] if self.threads else []
        start = time.time()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.time() - start
        if done.returncode != 0:
            raise RuntimeError(f"{name}: exit status {done.returncode}: {done.stderr.strip()[-400:]}")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        indexing = next(line["duration"] for line in lines if line.get("message_type") == "verbose_status")
        found = {}
        for line in (folder / "answers.jsonl").read_text().splitlines():
            answer = json.loads(line)
            found[answer["question_id"]] = answer
        answers = [found[f"q{i}"] for i in range(len(asked))]
        shutil.rmtree(folder)
        return {
            "frames": answers[0]["frames"],
            "seconds": round(seconds, 3),
            "index_seconds": round(indexing, 3),
            "answers": [
                q.plain() | {"given": a["answer"], "seconds": seconds_of(a["timings"])}
                for q, a in zip(asked, answers, strict=True)
            ],
        }


def seconds_of(timings: dict) -> dict:
    return {name: round(timings[name], 4) for name in ("fuse", "prefill", "decode", "first_token") if name in timings}


def pipeline(file: Path, asked: list[Question], fps: float, fusion: str, precision: str | None = None) -> str:
    lines = [
        "version: 1",
        *([f"precision: {precision}"] if precision else []),
        f"inputs: [{json.dumps(str(file))}]",
        f"fps: {rate_text(fps)}",
        "output: answers.jsonl",
        "questions:",
    ]
    for i, question in enumerate(asked):
        lines += [
            f"  - id: q{i}",
            f"    ask: {json.dumps(question.text)}",
            f"    max_tokens: {MAX_TOKENS}",
            f"    fusion: {fusion}",
        ]
    return "\n".join(lines) + "\n"


def rate_text(fps: float) -> str:
    """The rate as text, rounded down so that no extra frame fits in."""
    return f"{math.floor(fps * 1e9 + 1e-6) / 1e9:.9f}".rstrip("0").rstrip(".")


def fingerprint(model: Path) -> str:
    """A hash of the weights and all settings."""
    digest = hashlib.sha256()
    for file in sorted(p for p in model.rglob("*") if p.suffix in (".json", ".safetensors", ".model")):
        digest.update(file.relative_to(model).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


class Kept:
    """Answers in a file of JSON lines, one per recording. An incomplete last line is ignored."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[str, dict] = {}
        text = file.read_text() if file.exists() else ""
        for line in text.splitlines():
            try:
                value = json.loads(line)
                self.lines[value["key"]] = value
            except (ValueError, KeyError):
                continue
        if text and not text.endswith("\n"):
            with file.open("a") as out:
                out.write("\n")

    def add(self, value: dict) -> None:
        with self.file.open("a") as out:
            out.write(json.dumps(value) + "\n")
        self.lines[value["key"]] = value


@dataclass
class Task:
    """A recording to ask about. `tags` are added to its line in `Kept`."""

    name: str
    file: Path
    asked: list[Question]
    fps: float = 1
    tags: dict | None = None


def answers_key(asker: Asker, task: Task) -> str:
    """The key of kept answers: of the model, the recording, the questions, and the precision if one is given."""
    said = [asker.mark, task.name, rate_text(task.fps), MAX_TOKENS, [q.plain() for q in task.asked]]
    return key_of(said + ([asker.precision] if asker.precision else []))


def key_of(said: list) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:24]


def ask_all(asker: Asker, tasks: list[Task], kept: Kept) -> tuple[list[dict], list[str]]:
    """Returns the kept lines of all tasks in order, and the failures."""
    result, failed = [], []
    start, new = time.time(), 0
    for place, task in enumerate(tasks):
        key = answers_key(asker, task)
        if key not in kept.lines:
            try:
                found = asker.ask(task.name, task.file, task.asked, task.fps)
            except RuntimeError as error:
                failed.append(f"{task.name}: failed")
                print(error, file=sys.stderr)
                continue
            kept.add({"key": key, "name": task.name, **(task.tags or {}), **found})
            new += 1
            if new % 10 == 0 or found["seconds"] > 10:
                print(f"{place + 1} of {len(tasks)}, {(time.time() - start) / new:.2f} s per recording", flush=True)
        result.append(kept.lines[key])
    return result, failed


def about(asker: Asker, command: str) -> dict:
    version = subprocess.run([str(asker.program), "--version"], capture_output=True, text=True).stdout.strip()
    config = json.loads((asker.model / "config.json").read_text())
    return {
        "command": command,
        "model": asker.model.name,
        "weights": asker.mark,
        "longtake": version,
        "random": str(config.get("_longtake", "")).startswith("random"),
        "machine": f"{cpu()}, {multiprocessing.cpu_count()} cores",
        "date": time.strftime("%Y-%m-%d"),
    }


def cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def save(folder: Path, name: str, value: dict) -> None:
    recordings.save_json(folder / f"{name}.json", value)
    print(folder / f"{name}.json")
