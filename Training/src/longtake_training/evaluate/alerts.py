"""Alerts of a pipeline about recordings whose events are known: which fire, how often, and what a bad webhook costs.

    python -m longtake_training.evaluate.alerts --model DIR --work DIR [--count 50] [--kills 10]

Each recording is asked whether each of some things is there; "yes" is posted to a webhook that is down at first, then
slow, then answers 500, then works. Runs are killed at random times until there were enough kills, then run to the end.
Prints how many of the events were posted, how many twice, and how long a run takes with each kind of webhook.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from longtake_training import arguments, paths
from longtake_training.evaluate.page import table
from longtake_training.evaluate.scenes import in_parallel, test_seeds, write_short
from longtake_training.world import recordings

FIRST = 1_000_000
"""The first seed, as in `evaluate short`."""


class Webhook:
    """A server that keeps what was posted; `mode` is down, slow, error or works."""

    def __init__(self) -> None:
        self.mode = "works"
        self.accepted: list[dict] = []
        self.refused = 0
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.mode == "down":
                    hook.refused += 1
                    self.close_connection = True
                    return
                if hook.mode == "slow":
                    time.sleep(3)
                if hook.mode == "error":
                    hook.refused += 1
                else:
                    hook.accepted.append(json.loads(body))
                self.send_response(500 if hook.mode == "error" else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/"


def pipeline(folder: Path, names: list[str], address: str | None) -> str:
    lines = ["version: 1", f"inputs: [{json.dumps(str(folder))}]", "output: answers.jsonl", "questions:"]
    for name in names:
        lines += [
            f"  - id: {name.replace(' ', '-')}",
            f"    ask: Is there a {name}?",
            "    answer: yes_no",
            "    fusion: exact",
        ]
    if address:
        lines.append("alerts:")
        for name in names:
            key = name.replace(" ", "-")
            lines += [f"  - id: {key}", f"    when: {key} is yes", f"    webhook: {address}", "    timeout: 10s"]
    return "\n".join(lines) + "\n"


class Runs:
    """Runs of one pipeline in a folder of its own."""

    def __init__(self, args: argparse.Namespace, name: str, text: str) -> None:
        self.folder = args.work / "alerts" / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / "pipeline.yaml").write_text(text)
        self.command = [str(args.longtake.resolve()), "run", str(self.folder / "pipeline.yaml"), "--quiet"]
        self.command += ["--model", str(args.model.resolve())]
        self.command += ["--cache-dir", str(self.folder / "cache"), "--data-dir", str(self.folder / "data")]

    def start(self) -> subprocess.Popen:
        return subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def pause(self) -> float:
        """Seconds until the last alert that waits is due; 0 if none waits."""
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "catalog.sqlite")) as catalog:
            due = catalog.execute("SELECT max(next) FROM run_alert WHERE state = 'pending'").fetchone()[0]
        return 0 if due is None else max(1, due - time.time() + 1)

    def run(self) -> float:
        """Runs to the end. Returns seconds."""
        begin = time.time()
        process = self.start()
        _, errors = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"exit status {process.returncode}: {errors.strip()[-400:]}")
        return time.time() - begin


def main() -> None:
    parser = arguments.parser("evaluate.alerts", __doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for recordings")
    parser.add_argument("--longtake", type=Path, default=paths.LONGTAKE)
    parser.add_argument("--count", type=int, default=50, help="recordings of 10 to 60 s")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--things", type=int, default=8, help="kinds of things that are asked about")
    parser.add_argument("--processes", type=int, default=2, help="processes that write recordings")
    args = parser.parse_args()
    args.work = args.work.resolve()
    folder = args.work / "alerts" / "recordings"
    seeds = test_seeds(FIRST, args.count)
    in_parallel(write_short, [(folder, seed, 10.0, 60.0) for seed in seeds], args.processes)
    things: dict[str, set[str]] = {}
    for seed in seeds:
        recording, _ = recordings.one(seed, "test", 10, 60)
        things[f"test-{seed}"] = {thing.name for thing in recording.things}
    counted = Counter(name for names in things.values() for name in names)
    names = [name for name, _ in counted.most_common(args.things)]
    events = {(file, name.replace(" ", "-")) for file, there in things.items() for name in there if name in names}

    hook = Webhook()
    rows = [["no alerts", f"{Runs(args, 'none', pipeline(folder, names, None)).run():.1f} s", "–"]]
    for mode in ("works", "error", "down", "slow"):
        hook.mode, hook.accepted = mode, []
        seconds = Runs(args, mode, pipeline(folder, names, hook.address)).run()
        rows.append([f"webhook: {mode}", f"{seconds:.1f} s", str(len(hook.accepted))])
        print(f"{mode}: {seconds:.1f} s", file=sys.stderr, flush=True)

    runs = Runs(args, "killed", pipeline(folder, names, hook.address))
    hook.accepted, hook.refused = [], 0
    chance = random.Random(7)
    longest = float(rows[0][1].split()[0])
    kills = 0
    while kills < args.kills:
        hook.mode = ("down", "error", "works")[kills * 3 // max(args.kills, 1)]
        process = runs.start()
        time.sleep(chance.uniform(0.1, max(0.2, 1.5 * longest / args.kills)))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
    hook.mode = "works"
    runs.run()
    # What failed twice is tried again after a minute, and then after two.
    for _ in range(3):
        if not (pause := runs.pause()):
            break
        time.sleep(pause)
        runs.run()
    posted = [(Path(one["answer"]["recording"]["path"]).stem, one["alert"]) for one in hook.accepted if "answer" in one]
    counts = Counter(posted)
    twice = sum(count > 1 for count in counts.values())
    right = len(events & set(counts))
    print("\n".join(table(["pipeline", "run", "posted"], rows)))
    print(
        f"{args.count} recordings, {kills} kills: "
        f"{right} of {len(events)} events posted ({100 * right / len(events):.1f} %), "
        f"{len(set(counts) - events)} without an event, {twice} twice; {hook.refused} refused before"
    )
    sys.exit(0 if twice == 0 and right >= 0.95 * len(events) else 1)


if __name__ == "__main__":
    main()
