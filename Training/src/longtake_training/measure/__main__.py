"""Measures the built program on long recordings: latency, bytes, memory, and work repeated after a kill.

    python -m longtake_training.measure latency                 the demo's 3 hours, the bundled model; a minute
    python -m longtake_training.measure full-size --model DIR   3 hours of random records, 8B shape; 10 to 40 minutes
    python -m longtake_training.measure day                     24 hours, killed at hour 20; 15 minutes

Needs the standard library only. Run it from the project's folder after `make build`; it writes to out/.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LONGTAKE = ".build/release/longtake"
NANO = "Models/nano"
DESK = "Demo/desk.mp4"
QUESTIONS = "Demo/questions.txt"
SEGMENT = 600  # frames: the most that a kill may cost


class Program:
    """The program with a model, and a cache and catalog that start empty unless `keep` is set."""

    def __init__(self, folder: Path, model: str = NANO, *, keep: bool = False) -> None:
        self.folder = folder
        self.library = ["--cache-dir", str(folder / "cache"), "--data-dir", str(folder / "data")]
        self.places = ["--model", model, *self.library]
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen([LONGTAKE, *arguments], stdout=subprocess.PIPE, text=True)

    def read(self, *arguments: str) -> list[dict]:
        """One JSON document, or JSON lines."""
        text = subprocess.run([LONGTAKE, *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=True).stdout
        try:
            found = json.loads(text)
            return found if isinstance(found, list) else [found]
        except ValueError:
            return [json.loads(line) for line in text.splitlines()]

    def recording(self) -> str:
        """The ID of the only recording."""
        return subprocess.run(
            [LONGTAKE, "ls", "-q", *self.library], capture_output=True, text=True, check=True
        ).stdout.split()[0]


def watched(run: subprocess.Popen, seconds: float, look: Callable[[int], None]) -> threading.Thread:
    """Calls `look` every few seconds until the process ends."""

    def watch() -> None:
        while run.poll() is None:
            try:
                look(run.pid)
            except OSError:
                pass  # The process has ended.
            time.sleep(seconds)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


# Latency


def latency(_: argparse.Namespace) -> None:
    program = Program(Path("out/latency"))
    program.read("index", DESK, *program.places)
    ident = program.recording()
    things = ["star", "circle", "triangle", "square", "ring"]
    for name, options in [("as is", []), ("one look", ["--focus", "off"]), ("a second look", ["--focus", "16"])]:
        first, whole = [], []
        for turn in range(21):
            # A different question each time: only the prefix cache is reused.
            question = f"What colour is the {things[turn % 5]}{'?' * (turn // 5 + 1)}"
            start = time.perf_counter()
            run = subprocess.Popen(
                [LONGTAKE, "ask", ident, question, *program.places, *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            run.stdout.read(1)
            first.append(1000 * (time.perf_counter() - start))
            run.stdout.read()
            run.wait()
            whole.append(1000 * (time.perf_counter() - start))
        first, whole = first[1:], whole[1:]
        print(
            f"{name}: first byte after {statistics.median(first):.0f} ms (fastest {min(first):.0f}), end of the "
            f"process after {statistics.median(whole):.0f} ms; medians of {len(first)} questions"
        )


# Full size


def outside(pid: int, weights: str) -> int:
    """Resident bytes outside the mapped weights."""
    total, is_other = 0, True
    for line in open(f"/proc/{pid}/smaps"):
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_other = weights not in line
        elif is_other and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def rows(question: str, model: Path) -> int:
    """Number of prompt tokens after the recording's placeholder."""
    text = subprocess.run(
        [LONGTAKE, "model", "tokenize", str(model), "--chat", "llava_llama_3_1"],
        input=json.dumps(question),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    ids = json.loads(text)
    return len(ids) - ids.index(-200) - 1


def full_size(args: argparse.Namespace) -> None:
    program = Program(args.work / "index", str(args.model), keep=args.keep)
    weights = str(args.model.resolve())
    is_there = (args.work / "index/cache/derived").exists()
    if is_there:
        records = {"id": program.recording()}
        print(f"{records['id']}: kept by an earlier run", flush=True)
    else:
        records = program.read("bench", "records", "--frames", str(args.frames), *program.places)[0]
        print(
            f"{records['frames']} records: {records['bytes'] / 2**30:.2f} GiB, "
            f"{records['bytes_per_frame'] / 2**20:.4f} MiB per frame",
            flush=True,
        )
    fuse = prefill = 0.0
    turns = [
        ("first", "on the left", []),
        ("second", "on the right", []),
        ("third", "in this room", []),
        ("fourth", "in the street", ["--fusion-error", "0"]),
    ]
    for turn, end, options in turns:
        # A different question each time: only the prefix cache is reused.
        question = f"How many people are standing at the table {end}?"
        start, most = time.time(), [0]
        run = program.start(
            "ask", records["id"], question, *program.places, "--focus", "off", "--max-tokens", "8", "--json", *options
        )

        def look(pid: int, most: list[int] = most) -> None:
            most[0] = max(most[0], outside(pid, weights))

        thread = watched(run, 2, look)
        lines = []
        for line in run.stdout:
            lines.append(line)
            # The document is complete. End of file comes after 17 GB are unmapped, which is not part of the answer.
            if line.rstrip() == "}":
                took = time.time() - start
        answer = json.loads("".join(lines))
        run.wait()
        thread.join()
        t = answer["timings"]
        if turn == "first":
            fuse, prefill = t["fuse"] / 64, t["prefill"]  # The prefix is fused with the whole sample.
        fusion = answer["fusion"]
        print(
            f"{turn} question, {rows(question, args.model)} rows fused with {fusion['frames']} frames (error "
            f"{fusion['relative_standard_error']:.1e}): first token {took - t['decode']:.1f} s after the start of the "
            f"process (load {t['load']:.1f}, fuse {t['fuse']:.1f}, prefill {t['prefill']:.1f}), "
            f"{t.get('seconds_per_token', 0):.2f} s per token, "
            f"{'from kept state' if answer['reused'] else 'nothing kept yet'}; at most {most[0] / 1e9:.2f} GB outside "
            "the weights",
            flush=True,
        )
    kept = sum(file.stat().st_size for file in (args.work / "index/cache/derived").iterdir())
    print(f"kept state: {kept / 2**30:.2f} GiB")
    if is_there:
        return
    video = args.work / "16s.mp4"
    subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-nostdin",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x360:rate=5:duration=16",
            str(video),
        ],
        check=True,
    )
    summary = program.read("index", str(video), "--derive", "never", *program.places)[-1]
    each = summary["total_duration"] / summary["frames"]
    hours = [(args.frames * each + frames * fuse + prefill) / 3600 for frames in (args.frames, min(args.frames, 64))]
    print(
        f"cold, from the file: {each:.2f} s per frame to index (measured on {summary['frames']} frames), {fuse:.2f} s "
        f"per frame to fuse, and the prefill: {hours[0]:.1f} hours for {args.frames} frames with every frame fused, "
        f"{hours[1]:.1f} hours with 64 (extrapolated)"
    )
    if not args.keep:
        shutil.rmtree(args.work / "index")


# A day


def index_day(
    program: Program, video: Path, stop_at: int | None = None
) -> tuple[list[dict], dict[int, tuple[float, int]]]:
    """Indexes the day. Returns the lines written and, per tenth of the way, resident MiB and open descriptors of both
    processes."""
    run = program.start("index", str(video), "--json", "--keep", "tokens", "--derive", "lazy", *program.places)
    lines: list[dict] = []
    seen: dict[int, tuple[float, int]] = {}
    part = [0.0]

    def look(pid: int) -> None:
        ids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        rss = sum(int(line.split()[1]) for i in ids for line in open(f"/proc/{i}/status") if line.startswith("VmRSS:"))
        count = sum(len(os.listdir(f"/proc/{i}/fd")) for i in ids)
        was = seen.get(int(part[0] * 10), (0, 0))
        seen[int(part[0] * 10)] = (max(was[0], rss / 1024), max(was[1], count))

    thread = watched(run, 0.2, look)
    for line in run.stdout:
        lines.append(json.loads(line))
        if lines[-1]["message_type"] == "status":
            part[0] = lines[-1].get("percent_done", 0)
            if stop_at and lines[-1].get("frames_done", 0) >= stop_at:
                run.send_signal(signal.SIGKILL)
                break
    run.stdout.read()
    run.wait()
    thread.join()
    return lines, seen


def frames_done(lines: list[dict]) -> list[int]:
    return [line["frames_done"] for line in lines if line["message_type"] == "status"]


def day(_: argparse.Namespace) -> None:
    """Measures 24 hours: the demo's recording eight times."""
    folder = Path("out/day")
    folder.mkdir(parents=True, exist_ok=True)
    video = folder / "day.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", "-stream_loop", "7", "-i", DESK, "-c", "copy", str(video)],
        check=True,
    )
    whole, killed = Program(folder / "whole"), Program(folder / "killed")
    lines, seen = index_day(whole, video)
    print(f"{lines[-1]['frames']} frames indexed in {lines[-1]['total_duration']:.0f} s")
    print("resident memory and open descriptors, the largest by tenth of the way:")
    print("  " + ", ".join(f"{rss:.0f} MiB {count}" for _, (rss, count) in sorted(seen.items())), flush=True)
    stats = whole.read("cache", "stats", *whole.library)[0]
    print("cache:", json.dumps({name: value for name, value in stats.items() if isinstance(value, int)}), flush=True)
    ident = whole.recording()
    for question, truth, _ in (line.strip().split("|") for line in open(QUESTIONS)):
        # The first question builds the prefix cache.
        start = time.time()
        answer = whole.read("ask", ident, question, *whole.places)[0]["answer"]
        print(f"  {question} {answer} (true: {truth}); {time.time() - start:.1f} s", flush=True)
    lines, _ = index_day(killed, video, stop_at=20 * 3600)
    done = max(frames_done(lines))
    killed.read("cache", "verify", "--read-data", *killed.library)
    lines, _ = index_day(killed, video)
    first = frames_done(lines)[0]
    action = next(line["action"] for line in lines if line["message_type"] == "verbose_status")
    print(
        f"killed when {done} frames were done; the next run: {action}, it began with {first} frames, so at most "
        f"{done - first} were done again"
    )
    same = [
        filecmp.cmp(file, killed.folder / file.relative_to(whole.folder), shallow=False)
        for file in sorted((whole.folder / "cache/indexes").rglob("*"))
        if file.suffix in (".seg", ".pat")
    ]
    print(f"{sum(same)} of {len(same)} files are those of the run that was not killed")
    if not all(same) or done - first >= SEGMENT:
        sys.exit("more was done again than the open segment, or other bytes came of it")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m longtake_training.measure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("latency").set_defaults(function=latency)
    sub = commands.add_parser("full-size")
    sub.set_defaults(function=full_size)
    sub.add_argument("--model", type=Path, required=True)
    sub.add_argument("--work", type=Path, default=Path("out/full-size"))
    sub.add_argument("--frames", type=int, default=10_800)
    sub.add_argument(
        "--keep", action="store_true", help="leave the index there; the next run then asks it again, in two minutes"
    )
    commands.add_parser("day").set_defaults(function=day)
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
