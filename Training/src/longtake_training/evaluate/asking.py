"""Asks the program about recordings of the test split and counts right answers. Only `longtake run` sees the recordings.

    python evaluate.py short --model DIR --work DIR [--count 500]
    python evaluate.py length --model DIR --work DIR [--lengths 60,600,…] [--recordings N,N,…] [--questions N,N,…]
    python evaluate.py sampled --model DIR --work DIR [--recordings 50]
    python evaluate.py report [--out docs]

The first three keep their result as JSON in Training/report (`--out` names another folder); `report` writes evaluation.md and its
pictures from it. An answered recording is kept in the work folder and not asked again; a run that was stopped goes on there.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
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

import numpy as np

import evaluation_page
import questions
import recordings
import world
from questions import Question
from recordings import DEPTHS, SCENE

HERE = Path(__file__).resolve().parent
SEEDS = {"short": 1_000_000, "length": 2_000_000, "sampled": 3_000_000}
MAX_TOKENS = 96
SAMPLED = [("8 frames", 8), ("16 frames", 16), ("1 frame per second", None)]


# Asking


@dataclass
class Asker:
    """The program, a model and a work folder."""

    program: Path
    model: Path
    work: Path
    threads: int | None
    mark: str
    fusion: str = "exact"

    @staticmethod
    def of(args: argparse.Namespace) -> Asker:
        args.work.mkdir(parents=True, exist_ok=True)
        return Asker(args.longtake.resolve(), args.model.resolve(), args.work.resolve(), args.threads, fingerprint(args.model))

    def ask(self, name: str, file: Path, asked: list[Question], fps: float) -> dict:
        """Indexes the file in a cache of its own, asks all questions, and forgets the index."""
        folder = self.work / "runs" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "pipeline.yaml").write_text(pipeline(file, asked, fps, self.fusion))
        command = [str(self.program), "run", str(folder / "pipeline.yaml"), "--json", "--no-progress", "--model", str(self.model),
                   "--cache-dir", str(folder / "cache"), "--data-dir", str(folder / "data")]
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
            "frames": answers[0]["frames"], "seconds": round(seconds, 3), "index_seconds": round(indexing, 3),
            "answers": [q.plain() | {"given": a["answer"], "seconds": seconds_of(a["timings"])}
                        for q, a in zip(asked, answers)]}


def seconds_of(timings: dict) -> dict:
    return {name: round(timings[name], 4) for name in ("fuse", "prefill", "decode", "first_token") if name in timings}


def pipeline(file: Path, asked: list[Question], fps: float, fusion: str) -> str:
    lines = ["version: 1", f"inputs: [{json.dumps(str(file))}]", f"fps: {rate_text(fps)}", "output: answers.jsonl", "questions:"]
    for i, question in enumerate(asked):
        lines += [f"  - id: q{i}", f"    ask: {json.dumps(question.text)}", f"    max_tokens: {MAX_TOKENS}", f"    fusion: {fusion}"]
    return "\n".join(lines) + "\n"


def rate_text(fps: float) -> str:
    """Rounded down, so that no frame more than meant fits in."""
    return f"{math.floor(fps * 1e9 + 1e-6) / 1e9:.9f}".rstrip("0").rstrip(".")


def fingerprint(model: Path) -> str:
    """Of the weights' bytes and of all settings."""
    digest = hashlib.sha256()
    for file in sorted(p for p in model.rglob("*") if p.suffix in (".json", ".safetensors", ".model")):
        digest.update(file.relative_to(model).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


class Kept:
    """A file of JSON lines: one per recording that was asked. Half a line at its end is left out."""

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
    """A recording to ask about. `tags` go into its kept line."""

    name: str
    file: Path
    asked: list[Question]
    fps: float = 1
    tags: dict | None = None


def ask_all(asker: Asker, tasks: list[Task], kept: Kept) -> tuple[list[dict], list[str]]:
    """The kept lines of all tasks in their order, and what failed."""
    result, failed = [], []
    start, new = time.time(), 0
    for place, task in enumerate(tasks):
        said = json.dumps([asker.mark, task.name, rate_text(task.fps), MAX_TOKENS, [q.plain() for q in task.asked]])
        key = hashlib.sha256(said.encode()).hexdigest()[:24]
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


# Writing the recordings


def _short(job: tuple[Path, int, float, float]) -> Path:
    folder, seed, low, high = job
    beside = folder / f"test-{seed}.json"
    if beside.exists() and (folder / json.loads(beside.read_text())["file"]).exists():
        return beside
    return recordings.make(folder, seed, "test", low, high)


def _long(job: tuple[Path, world.Recording]) -> Path:
    file, recording = job
    if not file.exists():
        recordings.write_long(recording, file)
    return file


def in_parallel(make, jobs: list, processes: int) -> list[Path]:
    start = time.time()
    with multiprocessing.Pool(processes) as workers:
        made = []
        for path in workers.imap(make, jobs):
            made.append(path)
            if len(made) % 50 == 0:
                print(f"{len(made)} of {len(jobs)} written, {time.time() - start:.0f} s", flush=True)
    return made


def test_seeds(first: int, count: int) -> list[int]:
    return [first + world.TEST_EVERY * i for i in range(count)]


def scene_at(seed: int, duration: float, depth: float) -> world.Recording:
    """The minute that follows from the seed, at a depth (0 to 1) of a recording in which nothing else happens."""
    recording = world.random_recording(seed, "test", float(SCENE), event=(1.0, SCENE - 1.0))
    shift = float(int(depth * (duration - SCENE)))
    for thing in recording.things:
        thing.start += shift
        thing.end += shift
        if thing.move_at is not None:
            thing.move_at += shift
        if thing.change_at is not None:
            thing.change_at += shift
    if recording.board_from > 0:
        recording.board_from += shift
        recording.board_to += shift
    recording.light_at += shift
    recording.duration = float(duration)
    return recording


def depth_of(seed: int, stratum: int) -> float:
    return (stratum + float(np.random.default_rng([seed, 606]).random())) / DEPTHS


# Scoring


def scored(lines: list[dict]) -> dict:
    """Right and asked per kind, how often the commonest right answer would be right, and every wrong answer."""
    kinds: dict[str, dict] = {}
    wrong = []
    for kind in questions.KINDS:
        answers = [(line, a) for line in lines for a in line["answers"] if a["kind"] == kind]
        if not answers:
            continue
        right = 0
        for line, a in answers:
            if questions.is_right(Question.of(a), a["given"]):
                right += 1
            else:
                wrong.append({"recording": line["name"], "kind": kind, "question": a["text"], "right": a["answer"],
                              "given": a["given"]})
        wanted = collections.Counter(questions.normalized(a["answer"]) for _, a in answers)
        kinds[kind] = {"right": right, "asked": len(answers), "commonest": max(wanted.values())}
    overall = {name: sum(k[name] for k in kinds.values()) for name in ("right", "asked", "commonest")}
    return {"recordings": len(lines), "overall": overall, "kinds": kinds, "wrong": wrong, "times": times(lines)}


def times(lines: list[dict]) -> dict:
    """Medians: the program's seconds per recording, frames indexed per second, seconds to a question's first token."""
    if not lines:
        return {}
    first = [a["seconds"]["first_token"] for line in lines for a in line["answers"]]
    return {"recording": round(float(np.median([line["seconds"] for line in lines])), 2),
            "frames_per_second": round(float(np.median([line["frames"] / max(line["index_seconds"], 1e-3) for line in lines])), 1),
            "first_token": round(float(np.median(first)), 4)}


def about(asker: Asker, command: str) -> dict:
    version = subprocess.run([str(asker.program), "--version"], capture_output=True, text=True).stdout.strip()
    config = json.loads((asker.model / "config.json").read_text())
    return {"command": command, "model": asker.model.name, "weights": asker.mark, "longtake": version,
            "random": str(config.get("_longtake", "")).startswith("random"), "machine": f"{cpu()}, {multiprocessing.cpu_count()} cores",
            "date": time.strftime("%Y-%m-%d")}


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


def finish(failed: list[str]) -> None:
    if failed:
        sys.exit(f"{len(failed)} failed")


# The commands


def short(args: argparse.Namespace) -> None:
    asker = Asker.of(args)
    jobs = [(args.work / "short", seed, 10.0, 60.0) for seed in test_seeds(SEEDS["short"], args.count)]
    tasks = []
    for beside in in_parallel(_short, jobs, args.processes):
        value = json.loads(beside.read_text())
        asked = questions.choose([Question.of(q) for q in value["questions"]], int(args.questions))
        tasks.append(Task(beside.stem, (beside.parent / value["file"]).resolve(), asked))
    lines, failed = ask_all(asker, tasks, Kept(args.work / "short.jsonl"))
    command = f"python Training/evaluate.py short --model MODEL --work WORK --count {args.count} --questions {args.questions}"
    save(args.out, "short", {**about(asker, command), "failed": failed, **scored(lines)})
    finish(failed)


def per_length(text: str, lengths: list[int]) -> list[int]:
    values = [int(v) for v in text.split(",")]
    if len(values) not in (1, len(lengths)):
        sys.exit(f"{text}: one number is needed, or one per length")
    return values * len(lengths) if len(values) == 1 else values


def length(args: argparse.Namespace) -> None:
    asker = dataclasses.replace(Asker.of(args), fusion=args.fusion)
    lengths = [int(v) for v in args.lengths.split(",")]
    counts, limits = per_length(args.recordings, lengths), per_length(args.questions, lengths)
    file = args.out / "length.json"
    mark = asker.mark
    before = json.loads(file.read_text()) if file.exists() else {}
    known = {name: before.get(name, {}) if before.get("weights") == mark else {} for name in ("lengths", "sampled fusion")}
    name, file_name, option = (
        ("lengths", "length.jsonl", "") if args.fusion == "exact" else ("sampled fusion", "length-auto.jsonl", " --fusion auto"))
    every: list[str] = []
    for seconds, count, limit in zip(lengths, counts, limits):
        jobs, strata = [], []
        for place, seed in enumerate(test_seeds(SEEDS["length"], count)):
            recording = scene_at(seed, seconds, depth_of(seed, place % DEPTHS))
            jobs.append(((args.work / "length" / f"test-{seed}-{seconds}.mp4"), recording))
            strata.append(place % DEPTHS)
        files = in_parallel(_long, jobs, args.processes)
        tasks = [Task(path.stem, path.resolve(), questions.choose(recordings.asked(recording), limit),
                      tags={"length": seconds, "depth": depth})
                 for path, (_, recording), depth in zip(files, jobs, strata)]
        lines, failed = ask_all(asker, tasks, Kept(args.work / file_name))
        command = (f"python Training/evaluate.py length --model MODEL --work WORK --lengths {seconds} --recordings {count} "
                   f"--questions {limit}{option}")
        depths = [scored([line for line in lines if line["depth"] == d])["overall"] for d in range(DEPTHS)]
        known[name][str(seconds)] = {"command": command, "failed": failed, "depths": depths, **scored(lines)}
        every += failed
        ordered = {part: dict(sorted(values.items(), key=lambda item: int(item[0]))) for part, values in known.items()}
        save(args.out, "length", {**about(asker, ""), **ordered})
    finish(every)


def sampled(args: argparse.Namespace) -> None:
    asker = Asker.of(args)
    jobs = []
    for seed in test_seeds(SEEDS["sampled"], int(args.recordings)):
        jobs.append((args.work / "sampled" / f"test-{seed}.mp4", world.random_recording(seed, "test", 600.0)))
    files = in_parallel(_long, jobs, args.processes)
    result, every = {}, []
    for name, frames in SAMPLED:
        fps = frames / 600 if frames else 1.0
        tasks = [Task(path.stem, path.resolve(), questions.choose(recordings.asked(recording), int(args.questions)), fps)
                 for path, (_, recording) in zip(files, jobs)]
        lines, failed = ask_all(asker, tasks, Kept(args.work / "sampled.jsonl"))
        if frames and any(line["frames"] != frames for line in lines):
            sys.exit(f"{name}: not as many frames")
        result[name] = {"fps": rate_text(fps), "failed": failed, **scored(lines)}
        every += failed
    command = (f"python Training/evaluate.py sampled --model MODEL --work WORK --recordings {args.recordings} "
               f"--questions {args.questions}")
    save(args.out, "sampled", {**about(asker, command), "settings": result})
    finish(every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function, asked in [
            ("short", short, "12"), ("length", length, "18,18,12,12,8,8"), ("sampled", sampled, "18")]:
        sub = commands.add_parser(name)
        sub.set_defaults(function=function)
        sub.add_argument("--model", type=Path, required=True)
        sub.add_argument("--work", type=Path, required=True, help="folder for recordings and answers")
        sub.add_argument("--out", type=Path, default=HERE / "report", help="folder for the result")
        sub.add_argument("--longtake", type=Path, default=HERE.parent / ".build" / "release" / "longtake")
        sub.add_argument("--questions", default=asked, help="most questions per recording, of as many kinds as possible")
        sub.add_argument("--processes", type=int, default=2, help="processes that write recordings")
        sub.add_argument("--threads", type=int, help="threads of the program")
        if name == "short":
            sub.add_argument("--count", type=int, default=500)
        if name == "length":
            sub.add_argument("--fusion", choices=["exact", "auto"], default="exact", help="as of `longtake ask`")
            sub.add_argument("--lengths", default="60,600,3600,10800,43200,86400", help="seconds")
            sub.add_argument("--recordings", default="20,20,20,10,5,5", help="one number, or one per length, as for --questions")
        if name == "sampled":
            sub.add_argument("--recordings", default="50")
    sub = commands.add_parser("report")
    sub.set_defaults(function=evaluation_page.report)
    sub.add_argument("--report", type=Path, default=HERE / "report")
    sub.add_argument("--out", type=Path, default=HERE.parent / "docs")
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
