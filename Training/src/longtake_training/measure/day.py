"""24 hours: memory and descriptors on the way, and the work repeated after a kill."""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from longtake_training.measure.program import DESK, QUESTIONS, Program, watched

SEGMENT = 600  # frames: the most that a kill may cost


def index_day(
    program: Program, video: Path, stop_at: int | None = None
) -> tuple[list[dict], dict[int, tuple[float, int]]]:
    """Indexes the day. Returns the lines written and, per tenth of the way, resident MiB and open descriptors of both
    processes."""
    run = program.start("index", str(video), "--json", "--keep", "tokens", "--prefix-cache", "lazy", *program.places)
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
