"""Writes the recordings of the test split that the program is asked about."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path

import numpy as np

from longtake_training.world import recordings, scene
from longtake_training.world.recordings import DEPTHS, SCENE


def write_short(job: tuple[Path, int, float, float]) -> Path:
    folder, seed, low, high = job
    beside = folder / f"test-{seed}.json"
    if beside.exists() and (folder / json.loads(beside.read_text())["file"]).exists():
        return beside
    return recordings.make(folder, seed, "test", low, high)


def write_long(job: tuple[Path, scene.Recording]) -> Path:
    file, recording = job
    if not file.exists():
        recordings.write_long(recording, file)
    return file


def in_parallel(make, jobs: list, processes: int) -> list[Path]:
    start = time.time()
    with multiprocessing.Pool(processes) as workers:
        made = []
        for path in workers.imap(make, jobs):
            made.append(path)
            if len(made) % 50 == 0:
                print(f"{len(made)} of {len(jobs)} written, {time.time() - start:.0f} s", flush=True)
    return made


def test_seeds(first: int, count: int) -> list[int]:
    return [first + scene.TEST_EVERY * i for i in range(count)]


def scene_at(seed: int, duration: float, depth: float) -> scene.Recording:
    """The scene of a seed, a minute long, at a depth (0 to 1) of a recording in which nothing else happens."""
    recording = scene.random_recording(seed, "test", float(SCENE), event=(1.0, SCENE - 1.0))
    shift = float(int(depth * (duration - SCENE)))
    for thing in recording.things:
        thing.start += shift
        thing.end += shift
        if thing.move_at is not None:
            thing.move_at += shift
        if thing.change_at is not None:
            thing.change_at += shift
    if recording.board_from > 0:
        recording.board_from += shift
        recording.board_to += shift
    recording.light_at += shift
    recording.duration = float(duration)
    return recording


def depth_of(seed: int, stratum: int) -> float:
    return (stratum + float(np.random.default_rng([seed, 606]).random())) / DEPTHS
