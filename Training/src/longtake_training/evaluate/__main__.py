"""Asks the program about recordings of the test split and counts right answers. Only `longtake run` reads the
video files.

    python -m longtake_training.evaluate short --model DIR --work DIR [--count 500]
    python -m longtake_training.evaluate length --model DIR --work DIR [--lengths 60,600,…] [--recordings N,N,…]
                                                [--questions N,N,…]
    python -m longtake_training.evaluate sampled --model DIR --work DIR [--recordings 50]
    python -m longtake_training.evaluate precision --model DIR --work DIR [--count 100] [--long 20]
    python -m longtake_training.evaluate report [--out docs]

All but the last write their result as JSON to Training/report (`--out` names another folder); `report` writes
evaluation.md and its images from it. The answers for a recording are kept in the work folder, so a run that was stopped
continues there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from longtake_training import arguments, paths
from longtake_training.evaluate import page
from longtake_training.evaluate.asking import Asker, Kept, Task, about, ask_all, rate_text, save
from longtake_training.evaluate.precision import precision
from longtake_training.evaluate.scenes import in_parallel, test_seeds, write_long
from longtake_training.evaluate.scoring import scored
from longtake_training.evaluate.tasks import length_tasks, short_tasks
from longtake_training.world import questions, recordings, scene
from longtake_training.world.recordings import DEPTHS

SEED = 3_000_000
"""First seed of the recordings of `sampled`."""
SAMPLED = [("8 frames", 8), ("16 frames", 16), ("1 frame per second", None)]


def finish(failed: list[str]) -> None:
    if failed:
        sys.exit(f"{len(failed)} failed")


def short(args: argparse.Namespace) -> None:
    asker = Asker.of(args)
    tasks = short_tasks(args, args.count, int(args.questions))
    lines, failed = ask_all(asker, tasks, Kept(args.work / "short.jsonl"))
    command = (
        "python -m longtake_training.evaluate short --model MODEL --work WORK "
        f"--count {args.count} --questions {args.questions}"
    )
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
    known = {
        name: before.get(name, {}) if before.get("weights") == mark else {} for name in ("lengths", "sampled fusion")
    }
    name, file_name, option = (
        ("lengths", "length.jsonl", "")
        if args.fusion == "exact"
        else ("sampled fusion", "length-auto.jsonl", " --fusion auto")
    )
    every: list[str] = []
    for seconds, count, limit in zip(lengths, counts, limits, strict=True):
        tasks = length_tasks(args, seconds, count, limit)
        lines, failed = ask_all(asker, tasks, Kept(args.work / file_name))
        command = (
            f"python -m longtake_training.evaluate length --model MODEL --work WORK --lengths {seconds} --recordings "
            f"{count} --questions {limit}{option}"
        )
        depths = [scored([line for line in lines if line["depth"] == d])["overall"] for d in range(DEPTHS)]
        known[name][str(seconds)] = {"command": command, "failed": failed, "depths": depths, **scored(lines)}
        every += failed
        ordered = {part: dict(sorted(values.items(), key=lambda item: int(item[0]))) for part, values in known.items()}
        save(args.out, "length", {**about(asker, ""), **ordered})
    finish(every)


def sampled(args: argparse.Namespace) -> None:
    asker = Asker.of(args)
    jobs = []
    for seed in test_seeds(SEED, int(args.recordings)):
        jobs.append((args.work / "sampled" / f"test-{seed}.mp4", scene.random_recording(seed, "test", 600.0)))
    files = in_parallel(write_long, jobs, args.processes)
    result, every = {}, []
    for name, frames in SAMPLED:
        fps = frames / 600 if frames else 1.0
        tasks = [
            Task(path.stem, path.resolve(), questions.choose(recordings.asked(recording), int(args.questions)), fps)
            for path, (_, recording) in zip(files, jobs, strict=True)
        ]
        lines, failed = ask_all(asker, tasks, Kept(args.work / "sampled.jsonl"))
        if frames and any(line["frames"] != frames for line in lines):
            sys.exit(f"{name}: not as many frames")
        result[name] = {"fps": rate_text(fps), "failed": failed, **scored(lines)}
        every += failed
    command = (
        f"python -m longtake_training.evaluate sampled --model MODEL --work WORK --recordings {args.recordings} "
        f"--questions {args.questions}"
    )
    save(args.out, "sampled", {**about(asker, command), "settings": result})
    finish(every)


def main() -> None:
    parser = arguments.parser("evaluate", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function, asked in [
        ("short", short, "12"),
        ("length", length, "18,18,12,12,8,8"),
        ("sampled", sampled, "18"),
        ("precision", precision, "12"),
    ]:
        sub = commands.add_parser(name)
        sub.set_defaults(function=function)
        sub.add_argument("--model", type=Path, required=True)
        sub.add_argument("--work", type=Path, required=True, help="folder for recordings and answers")
        sub.add_argument("--out", type=Path, default=paths.REPORT, help="folder for the result")
        sub.add_argument("--longtake", type=Path, default=paths.LONGTAKE)
        sub.add_argument(
            "--questions", default=asked, help="most questions per recording, of as many kinds as possible"
        )
        sub.add_argument("--processes", type=int, default=2, help="processes that write recordings")
        sub.add_argument("--threads", type=int, help="threads of the program")
        if name == "short":
            sub.add_argument("--count", type=int, default=500)
        if name == "precision":
            sub.add_argument("--count", type=int, default=100, help="short recordings")
            sub.add_argument("--long", type=int, default=20, help="recordings of 10 min; half as many of 3 h")
        if name == "length":
            sub.add_argument("--fusion", choices=["exact", "auto"], default="exact", help="as of `longtake ask`")
            sub.add_argument("--lengths", default="60,600,3600,10800,43200,86400", help="seconds")
            sub.add_argument(
                "--recordings", default="20,20,20,10,5,5", help="one number, or one per length, as for --questions"
            )
        if name == "sampled":
            sub.add_argument("--recordings", default="50")
    sub = commands.add_parser("report")
    sub.set_defaults(function=page.report)
    sub.add_argument("--report", type=Path, default=paths.REPORT)
    sub.add_argument("--out", type=Path, default=paths.REPOSITORY / "docs")
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
