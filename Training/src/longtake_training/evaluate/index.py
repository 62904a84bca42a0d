"""Measures answers about indexed recordings of the test split: evidence, refinement, fusion samples, record precision.

    python -m longtake_training.evaluate.index COMMAND --model DIR --work DIR [--recordings N]

    evidence   an hour: is the true interval among the first three, and is "not found" right
    focus      3 hours: with and without a second pass over the frames that matter
    sample     3 hours: with fewer and fewer fusion frames
    records    answers from default records and from f32 records
    detail     10 min: what only the fused text holds, by number of fusion frames
    estimate   the error of a sample's mean, and the error the program reports

Each writes its result as JSON to Training/report (`--out` names another folder).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from longtake_training import arguments, paths
from longtake_training.evaluate import asking, scenes
from longtake_training.world import questions, recordings, scene
from longtake_training.world.questions import Question

SEEDS = {"evidence": 4_000_000, "focus": 5_000_000, "records": 1_000_000, "estimate": 6_000_000, "detail": 7_000_000}
NEAR = 1.0
"""Tolerance in seconds for an interval: a frame stands for a second."""


class Library:
    """A cache and a catalog of its own, removed by `close`."""

    def __init__(self, args: argparse.Namespace, name: str) -> None:
        self.args, self.folder = args, args.work / "runs" / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def run(self, *command: str, record: str = "default") -> str:
        whole = [
            str(self.args.longtake.resolve()),
            *command,
            "--model",
            str(self.args.model),
            "--cache-dir",
            str(self.folder / "cache"),
            "--data-dir",
            str(self.folder / "data"),
        ]
        done = subprocess.run(whole, capture_output=True, text=True, env=os.environ | {"LONGTAKE_RECORD": record})
        if done.returncode != 0:
            sys.exit(f"{' '.join(whole)}: exit status {done.returncode}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def ask(self, file: Path, asked: list[Question], *options: str, record: str = "default") -> list[dict]:
        lines = self.run(
            "ask",
            str(file),
            *(q.text for q in asked),
            "--json",
            "--max-tokens",
            str(asking.MAX_TOKENS),
            *options,
            record=record,
        )
        try:
            return [json.loads(lines)]
        except ValueError:
            return [json.loads(line) for line in lines.splitlines()]

    def close(self) -> None:
        shutil.rmtree(self.folder)


def long_recordings(args: argparse.Namespace, name: str, seconds: int) -> list[tuple[Path, list[Question]]]:
    """Recordings in which everything happens within a minute, at all depths, and their questions."""
    jobs = []
    for place, seed in enumerate(scenes.test_seeds(SEEDS[name], args.recordings)):
        recording = scenes.scene_at(seed, seconds, scenes.depth_of(seed, place % recordings.DEPTHS))
        jobs.append((args.work / name / f"test-{seed}-{seconds}.mp4", recording))
    files = scenes.in_parallel(scenes.write_long, jobs, 2)
    return [
        (path.resolve(), questions.choose(recordings.asked(recording), args.questions))
        for path, (_, recording) in zip(files, jobs, strict=True)
    ]


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def meets(stretch: dict, seen: list[tuple[float, float]]) -> bool:
    return any(stretch["start"] <= end + NEAR and stretch["end"] >= start - NEAR for start, end in seen)


def evidence(args: argparse.Namespace) -> dict:
    hits = placed = first = 0
    nowhere = {"said": 0, "right": 0, "true": 0}
    missed = []
    for file, asked in long_recordings(args, "evidence", 3600):
        library = Library(args, file.stem)
        for question, answer in zip(asked, library.ask(file, asked, "--focus", "off"), strict=True):
            seen = question.plain()["seen"]
            if seen is None:
                continue
            if seen:
                placed += 1
                found = [meets(stretch, seen) for stretch in answer["evidence"][:3]]
                first += bool(found and found[0])
                hits += any(found)
                if not any(found):
                    missed.append(
                        {
                            "recording": file.name,
                            "question": question.text,
                            "seen": seen,
                            "evidence": answer["evidence"],
                            "right": question.answer,
                            "given": answer["answer"],
                        }
                    )
            nowhere["true"] += not seen
            nowhere["said"] += not answer["found"]
            nowhere["right"] += not seen and not answer["found"]
        library.close()
        print(f"{file.name}: {hits} of {placed}, nowhere {nowhere}", flush=True)
    return {
        "placed": placed,
        "in the first three": share(hits, placed),
        "the first": share(first, placed),
        "nowhere": nowhere,
        "not found: precision": share(nowhere["right"], nowhere["said"]),
        "not found: recall": share(nowhere["right"], nowhere["true"]),
        "missed": missed,
    }


SETTINGS = {
    "64 fusion frames, one look": ["--fusion-error", "0", "--focus", "off"],
    "64 fusion frames, a second look at 16 where not certain": ["--fusion-error", "0", "--focus", "auto"],
    "64 fusion frames, a second look at 16": ["--fusion-error", "0", "--focus", "16"],
    "64 fusion frames, a second look at 64": ["--fusion-error", "0", "--focus", "64"],
    "all frames fused, one look": ["--focus", "off", "--fusion", "exact"],
}


def focus(args: argparse.Namespace) -> dict:
    right = {name: 0 for name in SETTINGS}
    seconds = {name: [] for name in SETTINGS}
    count = not_certain = 0
    for file, asked in long_recordings(args, "focus", 10_800):
        library = Library(args, file.stem)
        library.run("index", str(file), "--no-progress")
        count += len(asked)
        for name, options in SETTINGS.items():
            start = time.time()
            answers = library.ask(file, asked, *options)
            seconds[name].append((time.time() - start) / len(asked))
            right[name] += sum(questions.is_right(q, a["answer"]) for q, a in zip(asked, answers, strict=True))
            if "auto" in options:
                not_certain += sum("focus" in a for a in answers)
        library.close()
        print(f"{file.name}: {right} of {count}, {not_certain} not certain", flush=True)
    return {
        "asked": count,
        "not certain": share(not_certain, count),
        "right": {name: share(n, count) for name, n in right.items()},
        "seconds per question": {name: round(sum(s) / len(s), 3) for name, s in seconds.items()},
    }


def sample(args: argparse.Namespace) -> dict:
    """Uses the recordings of `focus`."""
    right = dict.fromkeys((8, 16, 32, 64), 0)
    errors: dict[int, list[float]] = {frames: [] for frames in right}
    count = 0
    for file, asked in long_recordings(args, "focus", 10_800):
        library = Library(args, file.stem)
        library.run("index", str(file), "--no-progress", "--prefix-cache", "lazy")
        count += len(asked)
        for frames in right:
            answers = library.ask(file, asked, "--focus", "off", "--fusion-frames", str(frames), "--fusion-error", "0")
            right[frames] += sum(questions.is_right(q, a["answer"]) for q, a in zip(asked, answers, strict=True))
            errors[frames] += [a["fusion"]["relative_standard_error"] for a in answers]
        library.close()
        print(f"{file.name}: {right} of {count}", flush=True)
    return {
        "asked": count,
        "right": right,
        "relative standard error: mean, largest": {
            frames: [round(sum(found) / len(found), 4), round(max(found), 4)] for frames, found in errors.items()
        },
    }


LASTS = (600, 300, 150, 60, 30, 10, 5)
"""Seconds of 600 in which the board shows its text."""
DETAILS = {
    "1": ["--fusion-frames", "1"],
    "8": ["--fusion-frames", "8"],
    "16": ["--fusion-frames", "16"],
    "64": ["--fusion-frames", "64"],
    "64, a second look at 16": ["--focus", "16"],
    "64, may end early at an error of 0.07": ["--fusion-error", "0.07"],
    "all": ["--fusion", "exact"],
}


def detail(args: argparse.Namespace) -> dict:
    """Asks for a text that is on the board for part of the recording.

    Meant for the model of `train.detail`, which can read the board from the fused text only.
    """
    jobs = []
    for lasts in LASTS:
        for seed in scenes.test_seeds(SEEDS["detail"] + 10_000 * lasts, args.recordings):
            rng = np.random.default_rng([seed, 81])
            start = float(rng.uniform(0, 600 - lasts))
            recording = scene.Recording(
                seed,
                600.0,
                board=str(rng.choice(scene.BOARDS)),
                board_from=start,
                board_to=start + lasts,
                look=scene.random_look(rng),
            )
            jobs.append((args.work / "detail" / f"test-{seed}.mp4", recording))
    files = scenes.in_parallel(scenes.write_long, jobs, 2)
    right = {name: dict.fromkeys(map(str, LASTS), 0) for name in DETAILS}
    for file, (_, recording) in zip(files, jobs, strict=True):
        library = Library(args, file.stem)
        library.run("index", str(file), "--no-progress", "--prefix-cache", "never")
        lasts = str(round(recording.board_to - recording.board_from))
        for name, options in DETAILS.items():
            fixed = (["--focus", "off"] if "--focus" not in options else []) + (
                ["--fusion-error", "0"] if "--fusion-error" not in options else []
            )
            asked = [Question("sign", text, recording.board) for text in questions.TEMPLATES["sign"]]
            answers = library.ask(file.resolve(), asked, *options, *fixed, "--prefix-cache", "never")
            right[name][lasts] += sum(questions.is_right(q, a["answer"]) for q, a in zip(asked, answers, strict=True))
        library.close()
        print(f"{file.name}: {lasts} s of 600, { ({name: found[lasts] for name, found in right.items()}) }", flush=True)
    count = args.recordings * len(questions.TEMPLATES["sign"])
    return {
        "asked for each": count,
        "right, by seconds shown": {n: {k: share(v, count) for k, v in found.items()} for n, found in right.items()},
        "right in all": {n: share(sum(found.values()), count * len(LASTS)) for n, found in right.items()},
    }


def records(args: argparse.Namespace) -> dict:
    same = tokens = asked_in_all = right = cold_same = 0
    for beside in sorted((args.work / "short").glob("test-*.json"))[: args.recordings]:
        value = json.loads(beside.read_text())
        file = (beside.parent / value["file"]).resolve()
        asked = questions.choose([Question.of(q) for q in value["questions"]], args.questions)
        library = Library(args, file.stem)
        answers = {}
        for record in ("default", "f32"):
            library.run("index", str(file), "--no-progress", "--record", record)
            answers[record] = library.ask(file, asked, record=record)
        cold = Library(args, file.stem + "-cold")
        cold.run("index", str(file), "--no-progress", "--record", "f32", "--prefix-cache", "never")
        answers["cold"] = cold.ask(file, asked, "--prefix-cache", "never", record="f32")
        for question, small, large, again in zip(
            asked, answers["default"], answers["f32"], answers["cold"], strict=True
        ):
            asked_in_all += 1
            same += small["answer"] == large["answer"]
            tokens += small["token_ids"] == large["token_ids"]
            cold_same += again["token_ids"] == large["token_ids"]
            right += questions.is_right(question, small["answer"])
        library.close()
        cold.close()
    return {
        "asked": asked_in_all,
        "the same answer": share(same, asked_in_all),
        "the same tokens": share(tokens, asked_in_all),
        "f32: kept state and cold run, the same tokens": share(cold_same, asked_in_all),
        "right": share(right, asked_in_all),
    }


def estimate(args: argparse.Namespace) -> dict:
    ratios = []
    for file, asked in long_recordings(args, "estimate", 600):
        library = Library(args, file.stem)
        found = json.loads(library.run("bench", "fusion", str(file), *(q.text for q in asked), "--json"))
        ratios += [(q["deviation"], q["relative_standard_error"]) for q in found["questions"]]
        library.close()
    within = [off / error for off, error in ratios if error > 0]
    return {
        "questions": len(ratios),
        "within 1": share(sum(r <= 1 for r in within), len(within)),
        "within 3": share(sum(r <= 3 for r in within), len(within)),
        "largest": round(max(within), 3),
        "median": round(sorted(within)[len(within) // 2], 3),
    }


def main() -> None:
    parser = arguments.parser("evaluate.index", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function, count, most in [
        ("evidence", evidence, 40, 18),
        ("focus", focus, 10, 12),
        ("sample", sample, 10, 18),
        ("detail", detail, 6, 4),
        ("records", records, 100, 12),
        ("estimate", estimate, 20, 12),
    ]:
        sub = commands.add_parser(name)
        sub.set_defaults(function=function)
        sub.add_argument("--model", type=Path, required=True)
        sub.add_argument("--work", type=Path, required=True, help="folder for recordings and answers")
        sub.add_argument("--out", type=Path, default=paths.REPORT, help="folder for the result")
        sub.add_argument("--longtake", type=Path, default=paths.LONGTAKE)
        sub.add_argument("--recordings", type=int, default=count)
        sub.add_argument("--questions", type=int, default=most, help="most questions per recording")
    args = parser.parse_args()
    args.model, args.work = args.model.resolve(), args.work.resolve()
    asker = asking.Asker(args.longtake.resolve(), args.model, args.work, None, asking.fingerprint(args.model))
    command = (
        f"python -m longtake_training.evaluate.index {args.command} --model MODEL --work WORK "
        f"--recordings {args.recordings}"
    )
    asking.save(args.out, f"index-{args.command}", {**asking.about(asker, command), **args.function(args)})


if __name__ == "__main__":
    main()
