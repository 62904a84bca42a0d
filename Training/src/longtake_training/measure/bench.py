"""Runs `longtake bench` and the peers beside it, and writes a record to docs/performance and the tables of the page."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from longtake_training.measure import tables
from longtake_training.measure.program import LONGTAKE

OUT = Path("out/bench")
PACKAGES = {
    "frame_path": ["torch", "numpy"],
    "llama": ["llama-cpp-python", "gguf"],
    "av": ["av", "numpy"],
    "decord": ["decord"],
    "opencv": ["opencv-python-headless"],
    "ffmpeg": [],
}
"""What each peer needs from PyPI."""


def video() -> Path:
    """120 s of 1080p30 H.264 with noise."""
    path = OUT / "v1080.mp4"
    if not path.exists():
        source = "testsrc2=size=1920x1080:rate=30,noise=alls=12:allf=t"
        encoder = "-c:v libx264 -preset veryfast -crf 28 -g 250 -bf 3 -pix_fmt yuv420p".split()
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source, "-t", "120", *encoder]
        subprocess.run([*command, str(path)], check=True)
    return path


def rows(recording: Path, full: bool) -> list[tuple[str, list[str], list[tuple[str, str, list[str]]]]]:
    """What is measured: its name, the arguments of `longtake bench`, and the peers (module, key, arguments)."""
    found = [
        (
            "decoding 1080p30 H.264 at 1 frame per second",
            ["video-decode", str(recording)],
            [("decode", "seconds", [name, str(recording)]) for name in ("av", "decord", "opencv", "ffmpeg")],
        ),
        ("a frame of the bundled model's shape", ["frame-path", "--shape", "nano"], []),
        ("a question, bundled model's shape", ["ask", "--shape", "nano"], []),
    ]
    if not full:
        return found
    for precision in precisions():
        # PyTorch has no int8 path for it, and llama.cpp no f32 one worth the name.
        torch = [("frame_path", "seconds", [precision, n]) for n in ("1", "4")] if precision in ("f32", "bf16") else []
        quantized = {"int8": "q8_0", "int4": "q4_0"}.get(precision, "bf16")
        llama = [("llama", key, [quantized]) for key in ("prefill", "decode")]
        by_key = {key: [peer for peer in llama if peer[1] == key] for key in ("prefill", "decode")}
        wanted = precision != "f32"
        if precision != "int4":
            found += [
                (f"a frame, {precision}", ["frame-path", "--precision", precision], torch),
                (f"a frame with decoding, {precision}", ["frame-path", str(recording), "--precision", precision], []),
            ]
        found += [
            (
                f"prefill of 512, {precision}",
                ["prefill", "--precision", precision],
                by_key["prefill"] if wanted else [],
            ),
            (f"a token, {precision}", ["decode-token", "--precision", precision], by_key["decode"] if wanted else []),
        ]
    for precision in ("int8", "int4"):
        together = ["decode-token", "--precision", precision, "--questions", "8"]
        found.append((f"a token of each of 8 answers, {precision}", together, []))
    long = ["prefill", "--precision", "int8", "--kv", "int8", "--tokens", "10800", "--layers", "4"]
    found.append(("prefill of 10,800, int8, keys and values in int8", long, []))
    return [*found, ("a question about 3 hours", ["ask"], [])]


def precisions() -> list[str]:
    """The precisions that the program knows."""
    text = subprocess.run([LONGTAKE, "bench", "prefill", "--help"], capture_output=True, text=True).stdout
    named = re.search(r"--precision <.*?(?=\n\s+--|\Z)", text, re.S)
    return [name for name in ("f32", "bf16", "int8", "int4") if named and re.search(rf"\b{name}\b", named.group())]


class Peers:
    """The peers, in a virtual environment of their own."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin/python"
        self.installed: dict[str, str] = {}
        self.results: dict[tuple[str, ...], dict] = {}
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)

    def install(self, name: str) -> str:
        """Installs what a peer needs; returns why it cannot be measured, or nothing."""
        if name not in self.installed:
            command = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            done = (
                subprocess.run([*command, *PACKAGES[name]], capture_output=True, text=True) if PACKAGES[name] else None
            )
            failed = done is not None and done.returncode != 0
            self.installed[name] = f"{' '.join(PACKAGES[name])} cannot be installed" if failed else ""
        return self.installed[name]

    def measure(self, module: str, key: str, arguments: list[str], limit: int) -> dict:
        """A peer's name and seconds, or why there are none."""
        needs = arguments[0] if module == "decode" else module
        label = f"{needs} {' '.join(arguments)}" if module != "decode" else needs
        if missing := self.install(needs):
            return {"peer": label, "missing": missing}
        call = (module, *arguments)
        if call not in self.results:
            command = [str(self.python), "-m", f"longtake_training.peers.{module}", *arguments]
            self.results[call] = run_peer(command, label, limit, 5 if module == "decode" else 1)
        found = self.results[call]
        return found if "missing" in found else {"peer": found["peer"], "seconds": found[key]}


def run_peer(command: list[str], label: str, limit: int, times: int) -> dict:
    """The median of several processes; one that measures several runs itself is run once."""
    found = []
    for _ in range(times):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return {"peer": label, "missing": f"not done after {limit} s"}
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no message"]
            return {"peer": label, "missing": f"ended with {done.returncode}: {lines[-1][:120]}"}
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return sorted(found, key=lambda result: result.get("seconds", 0))[len(found) // 2]


def measure(
    row: tuple[str, list[str], list[tuple[str, str, list[str]]]], peers: Peers, args: argparse.Namespace
) -> dict:
    """Our report and the peers' seconds for a row of `rows`."""
    name, arguments, others = row
    command = [LONGTAKE, "bench", *arguments, "--runs", str(args.runs), "--json"]
    print(f"bench: {name}: {' '.join(command[1:-1])}", flush=True)
    done = subprocess.run(command, capture_output=True, text=True)
    measured = {"what": name, "command": " ".join(["longtake", *command[1:-1]]).replace(str(OUT) + "/", "")}
    if done.returncode == 0:
        report = json.loads(done.stdout)
        measured["ours"] = {key: report[key] for key in tables.KEYS if key in report}
        measured["machine"] = report["machine"]
        ours = measured["ours"]
        print(
            f"bench:   {tables.time(ours['seconds'])} per {ours['unit']}, {100 * ours['share_of_peak']:.0f} %",
            flush=True,
        )
    else:
        measured["missing"] = json.loads(done.stderr.splitlines()[-1])["message"]
        print(f"bench:   {measured['missing']}")
    measured["peers"] = [] if args.no_peers else [peers.measure(*other, args.limit) for other in others]
    for peer in measured["peers"]:
        print(f"bench:   {peer['peer']}: {peer.get('missing') or tables.time(peer['seconds'])}", flush=True)
    return measured


def path(record: dict) -> Path:
    """The file of a record: one for each day and class of CPU."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{record['date']} {record['cpu_class']}".lower())
    return tables.RECORDS / f"{name}.json"


def merged(known: dict, record: dict, names: list[str]) -> dict:
    """A record of one row put into the day's record, rows in the order of `names`."""
    found = {row["what"]: row for row in [*known.get("rows", []), *record["rows"]]}
    return {**record, "rows": [found[name] for name in names if name in found]}


def bench(args: argparse.Namespace) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    tables.RECORDS.mkdir(exist_ok=True)
    recording, peers = video(), Peers(Path("out/bench-venv"))
    wanted = rows(recording, not args.quick)
    names = [name for name, _, _ in rows(recording, True)]
    date = datetime.date.today().isoformat()
    for row in wanted:
        if not re.search(args.only, row[0]):
            continue
        measured = measure(row, peers, args)
        machine = measured.pop("machine", None)
        if not machine:
            continue
        record = {
            "date": date,
            "cpu": machine["cpu"],
            "cpu_class": machine["cpu_class"],
            "cores": len(os.sched_getaffinity(0)),
            "version": machine["version"],
            "rows": [measured],
        }
        known = json.loads(path(record).read_text()) if path(record).exists() else {}
        text = json.dumps(merged(known, record, names), indent=2, ensure_ascii=False)
        path(record).write_text(text + "\n")
        tables.write()
        print(f"bench:   wrote {path(record)} and {tables.PAGE}", flush=True)
