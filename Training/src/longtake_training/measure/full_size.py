"""Bytes, memory and time of random records, three hours of them unless said, at the shape of LLaVA-Mini 8B."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

from longtake_training.measure.program import LONGTAKE, Program, watched


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
        size = ["--frames", str(args.frames), "--keep", args.records]
        records = program.read("bench", "records", *size, *program.places)[0]
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
    for turn, end, options in turns[: args.questions]:
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
    summary = program.read("index", str(video), "--prefix-cache", "never", *program.places)[-1]
    each = summary["total_duration"] / summary["frames"]
    hours = [(args.frames * each + frames * fuse + prefill) / 3600 for frames in (args.frames, min(args.frames, 64))]
    print(
        f"cold, from the file: {each:.2f} s per frame to index (measured on {summary['frames']} frames), {fuse:.2f} s "
        f"per frame to fuse, and the prefill: {hours[0]:.1f} hours for {args.frames} frames with every frame fused, "
        f"{hours[1]:.1f} hours with 64 (extrapolated)"
    )
    if not args.keep:
        shutil.rmtree(args.work / "index")
