"""Measures how much of the compressor's attention lies on the things of the bundled world.

    python -m longtake_training.evaluate.compression --model DIR --work DIR [--frames 200]

Draws random moments of the desk with at least one thing, as the model sees them, encodes them without loss, and lets
`longtake inspect compression` write the attention over each frame's patches. Prints JSON, and writes
compression.json below --out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np

from longtake_training import arguments, paths
from longtake_training.evaluate.asking import Asker, about, save
from longtake_training.world import image_pool, recordings, scene

SEED = 500_002
SIDE = 84


def frames(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures [84, 84, 3] with a thing, and which patches show one: [count, 36]."""
    rng = np.random.default_rng(SEED)
    pictures, shown = [], []
    while len(pictures) < count:
        look, state = scene.random_look(rng), scene.random_state(rng)
        picture, offset = image_pool.draw(state, look, rng)
        on_thing = scene.patch_labels(state, look, offset)[0] > 0
        if on_thing.any():
            pictures.append(picture)
            shown.append(on_thing)
    return pictures, np.array(shown)


def attention(args: argparse.Namespace, pictures: list[np.ndarray]) -> np.ndarray:
    """The mean attention of the vision tokens over the patches, [count, 36]."""
    video, out = args.work / "compression.mkv", args.work / "compression"
    # Bytes of 8-bit RGB come back as they were.
    raw = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{SIDE}x{SIDE}"]
    recordings.ffmpeg(
        [*raw, "-framerate", "1", "-i", "-", "-c:v", "ffv1", "-pix_fmt", "gbrp", str(video)],
        (p.tobytes() for p in pictures),
    )
    shutil.rmtree(out, ignore_errors=True)
    command = [args.longtake, "inspect", "compression", video, "--every", "1", "--out", out, "--model", args.model]
    subprocess.run([*command, "--json", "--precision", "f32"], check=True, stdout=subprocess.DEVNULL)
    found = json.loads((out / "compression.json").read_text())["frames"]
    assert len(found) == len(pictures)
    return np.array([np.mean(frame["weights"], axis=0) for frame in found])


def measure(args: argparse.Namespace) -> dict:
    pictures, shown = frames(args.frames)
    weights = attention(args, pictures)
    on_things, area = (weights * shown).sum(1), shown.mean(1)
    return {
        "frames": len(pictures),
        "attention on things": float(on_things.mean()),
        "share of the area": float(area.mean()),
        "ratio": float(on_things.mean() / area.mean()),
        "frames below 1": int((on_things < area).sum()),
    }


def main() -> None:
    parser = arguments.parser("evaluate.compression", __doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=paths.REPORT)
    parser.add_argument("--longtake", type=Path, default=paths.LONGTAKE)
    parser.add_argument("--frames", type=int, default=200)
    args = parser.parse_args()
    args.threads = None
    asker = Asker.of(args)
    command = f"python -m longtake_training.evaluate.compression --model MODEL --work WORK --frames {args.frames}"
    result = {**about(asker, command), **measure(args)}
    print(json.dumps(result, indent=1))
    save(args.out, "compression", result)


if __name__ == "__main__":
    main()
