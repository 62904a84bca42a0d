"""Time from the start of the program to the first byte of an answer."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from pathlib import Path

from longtake_training.measure.program import DESK, LONGTAKE, Program


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
