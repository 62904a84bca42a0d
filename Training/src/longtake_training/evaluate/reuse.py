"""Measures `--reuse auto` on generated recordings: visits missed, frames saved, cost, and answers.

    python -m longtake_training.evaluate.reuse --model DIR --work DIR [--hours 10] [--recordings 40]

Each hour is a still scene with noise, which x264 compresses, and something that comes for 2 s into one corner about
every two minutes. A visit is missed if no frame of it has its own record. The answers are those about recordings of the
test split that were made noisy, shaky, or encoded again, with `--reuse exact` and `auto`. Prints JSON. Results are
kept in the work folder, by the program's version: a run that was stopped continues there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import struct
import subprocess
import time
from pathlib import Path

from longtake_training import arguments, paths
from longtake_training.evaluate.asking import Asker, Kept, key_of

HOUR = 3600
SEGMENT = 600
VISIT = 2
RATE = 2
"""Frames per second of the recordings."""
SOURCES = ["smptehdbars", "testsrc=d=0.2", "mandelbrot=start_scale=0.01:end_scale=0.009", "rgbtestsrc"]
SHAKE = "crop=iw-32:ih-32:16+14*sin(t*7):16+14*cos(t*5)"


def ffmpeg(*options: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *options], check=True)


def write_scene(path: Path, seed: int, seconds: int, filters: str = "") -> dict:
    """A still scene with noise and visits; returns when they start, and the strength of the noise."""
    rng = random.Random(seed)
    starts, at = [], 20
    while at < seconds - 20:
        starts.append(at)
        at += rng.randint(60, 180)
    noise = rng.choice([4, 8, 12, 20])
    if path.exists():
        return {"starts": starts, "noise": noise}
    still = path.with_suffix(".png")
    source = SOURCES[seed % len(SOURCES)]
    separator = ":" if "=" in source else "="
    ffmpeg("-f", "lavfi", "-i", f"{source}{separator}s=640x360:r={RATE}", "-frames:v", "1", str(still))
    # One box per visit costs as much as the noise: the filter's expression is one sum over them instead.
    when = "+".join(f"between(t,{s},{s + VISIT - 0.01})" for s in starts)
    color = rng.choice(["gray", "white", "red", "darkgreen", "black"])
    box = f"drawbox=x=590+mod(t*9\\,20):y=318:w=26:h=26:c={color}:t=fill:enable='{when}'"
    part = path.with_suffix(".part.mp4")
    ffmpeg(
        *("-loop", "1", "-framerate", str(RATE), "-t", str(seconds), "-i", str(still)),
        *("-vf", f"{box},noise=alls={noise}:allf=t:all_seed={seed}{filters}"),
        *("-c:v", "libx264", "-crf", "28", "-preset", "veryfast", "-g", str(50 * RATE)),
        *("-pix_fmt", "yuv420p", str(part)),
    )
    part.rename(path)
    return {"starts": starts, "noise": noise}


def own_records(folder: Path) -> list[bool]:
    """Whether each frame of an index has its own record, read as docs/index-format.md describes it."""
    own: list[bool] = []
    for file in sorted(folder.glob("*.seg")):
        data = file.read_bytes()
        length = struct.unpack("<I", data[28:32])[0]
        stride = json.loads(data[32 : 32 + length])["layout"]["frameBytes"]
        count, references = struct.unpack("<II", data[-24:-16])
        frames = {struct.unpack_from("<I", data, 4096 + i * stride)[0]: True for i in range(count)}
        for i in range(references):
            frames[struct.unpack_from("<I", data, 4096 + count * stride + 40 * i)[0]] = False
        own += [frames[i] for i in sorted(frames)]
    return own


def index(args: argparse.Namespace, video: Path, reuse: str) -> tuple[dict, list[bool]]:
    cache, data = args.work / "cache", args.work / "data"
    command = [
        *(str(args.longtake), "index", str(video), "--model", str(args.model), "--force", "--json", "--no-progress"),
        *("--prefix-cache", "never", "--reuse", reuse, "--cache-dir", str(cache), "--data-dir", str(data)),
    ]
    start = time.time()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = next(line for line in lines if line["message_type"] == "verbose_status")
    return found | {"wall": time.time() - start}, own_records(cache / "indexes" / found["index"])


def hours(args: argparse.Namespace, kept: Kept) -> dict:
    rows = []
    for hour in range(args.hours):
        key = key_of(["hour", args.version, hour, RATE])
        if key not in kept.lines:
            kept.add({"key": key, **measured_hour(args, hour)})
        row = {name: value for name, value in kept.lines[key].items() if name != "key"}
        print(json.dumps(row), flush=True)
        rows.append(row)
    quiet, reused = (sum(row[name] for row in rows) for name in ("quiet", "reused"))
    return {
        "visits": sum(row["visits"] for row in rows),
        "missed": [(row["hour"], start) for row in rows for start in row["missed"]],
        "saved_of_quiet": round(reused / max(quiet, 1), 4),
        "least_saved_of_quiet": min((row["saved"] for row in rows), default=0),
    }


def measured_hour(args: argparse.Namespace, hour: int) -> dict:
    video = args.work / f"hour-{hour}.mp4"
    scene = write_scene(video, hour + 1, HOUR)
    found, own = index(args, video, "auto")
    busy = {s + i for s in scene["starts"] for i in range(VISIT + 1)}
    missed = [s for s in scene["starts"] if not any(own[s : s + VISIT])]
    still = [i for i in range(len(own)) if i not in busy]
    reused = sum(not own[i] for i in still)
    if not args.keep:
        video.unlink()
    row = {"hour": hour, "scene": SOURCES[(hour + 1) % len(SOURCES)].split("=")[0], "noise": scene["noise"]}
    row |= {"visits": len(scene["starts"]), "missed": missed, "quiet": len(still), "reused": reused}
    return row | {"saved": round(reused / len(still), 4), "seconds": round(found["duration"], 1)}


def shaky(args: argparse.Namespace) -> dict:
    """Ten minutes of a camera that moves: frames saved, and the time against `exact` by turns."""
    video = args.work / "shaky.mp4"
    write_scene(video, 1, SEGMENT, "," + SHAKE)
    times: dict[str, list[float]] = {"exact": [], "auto": []}
    reused = 0
    for _ in range(5):
        for mode, seconds in times.items():
            found, _ = index(args, video, mode)
            seconds.append(found["duration"])
            reused = found.get("frames_reused", reused)
    exact, auto = (statistics.median(times[mode]) for mode in ("exact", "auto"))
    return {
        "frames": SEGMENT,
        "reused": reused,
        "seconds": {"exact": round(exact, 3), "auto": round(auto, 3)},
        "cost": round(auto / exact - 1, 4),
    }


def answers(args: argparse.Namespace, kept: Kept) -> dict:
    """Right answers about recordings of the test split in three disguises, with both settings."""
    from longtake_training.evaluate.scenes import test_seeds, write_short
    from longtake_training.world import questions
    from longtake_training.world.questions import Question

    variants = {"noise": "noise=alls=8:allf=t:all_seed=1", "shake": SHAKE, "re-encoding": "null"}
    asker = Asker(args.longtake.resolve(), args.model.resolve(), args.work.resolve(), None, "")
    result: dict[str, dict] = {}
    for seed in test_seeds(1_000_000, args.recordings):
        beside = write_short((args.work / "short", seed, 10.0, 60.0))
        value = json.loads(beside.read_text())
        asked = questions.choose([Question.of(q) for q in value["questions"]], 12)
        for name, filters in variants.items():
            row = result.setdefault(name, {"asked": 0, "exact": 0, "auto": 0})
            row["asked"] += len(asked)
            key = key_of(["answers", args.version, beside.stem, name, [q.plain() for q in asked]])
            if key in kept.lines:
                for mode in ("exact", "auto"):
                    row[mode] += kept.lines[key][mode]
                continue
            right: dict[str, int] = {}
            video = args.work / f"{beside.stem}-{name}.mp4"
            crf = "32" if name == "re-encoding" else "28"
            ffmpeg(
                *("-i", str(beside.parent / value["file"]), "-an", "-vf", filters, "-pix_fmt", "yuv420p"),
                *("-c:v", "libx264", "-crf", crf, "-preset", "veryfast", str(video)),
            )
            for mode in ("exact", "auto"):
                os.environ["LONGTAKE_REUSE"] = mode
                answers = asker.ask(f"{beside.stem}-{name}-{mode}", video, asked, 1.0)["answers"]
                right[mode] = sum(questions.is_right(Question.of(a), a["given"]) for a in answers)
                row[mode] += right[mode]
            kept.add({"key": key, **right})
            video.unlink()
    os.environ.pop("LONGTAKE_REUSE", None)
    asked_all = max(1, sum(row["asked"] for row in result.values()))
    difference = sum(row["auto"] - row["exact"] for row in result.values())
    return {**result, "points": round(100 * difference / asked_all, 2)}


def main() -> None:
    parser = arguments.parser("evaluate.reuse", __doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--longtake", type=Path, default=paths.LONGTAKE)
    parser.add_argument("--hours", type=int, default=10)
    parser.add_argument("--recordings", type=int, default=40, help="recordings to ask about; 0 for none")
    parser.add_argument("--keep", action="store_true", help="keep the generated hours")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    args.version = subprocess.run([args.longtake, "--version"], capture_output=True, text=True, check=True).stdout
    kept = Kept(args.work / "reuse.jsonl")
    result = {"hours": hours(args, kept), "shaky": shaky(args)}
    print(json.dumps(result), flush=True)
    if args.recordings > 0:
        result["answers"] = answers(args, kept)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
