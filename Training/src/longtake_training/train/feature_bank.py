"""Recordings for training on cached features: one image per run of equal frames, encoded once."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from longtake_training.model.clip import VisionTower
from longtake_training.world import image_pool, scene


@dataclass
class Entry:
    """A recording, its runs of equal frames [first, last], and the index of their features; `kinds`: of questions."""

    recording: scene.Recording
    runs: list[tuple[int, int]]
    start: int
    kinds: list[str] | None = None


@dataclass
class Bank:
    """`patches` [F, P, D] in half precision for all runs of all entries."""

    entries: list[Entry]
    patches: Tensor


def _draw(task: tuple[list[int], float]) -> tuple[list[scene.Recording], list[list[tuple[int, int]]], np.ndarray]:
    seeds, longest = task
    recordings, runs, pictures = [], [], []
    for seed in seeds:
        recording = scene.random_recording(seed, "train", longest=longest)
        rng = np.random.default_rng([seed, 78])
        recordings.append(recording)
        runs.append([])
        for first, last, state in recording.segments():
            runs[-1].append((first, last))
            pictures.append(image_pool.draw(state, recording.look, rng)[0])
    return recordings, runs, np.stack(pictures)


@torch.no_grad()
def build(count: int, first_seed: int, longest: float, tower: VisionTower) -> Bank:
    """The first `count` seeds of the train split from `first_seed` on."""
    seeds = [s for s in range(first_seed, first_seed + 2 * count) if scene.split_of(s) == "train"][:count]
    tasks = [(seeds[i : i + 100], longest) for i in range(0, count, 100)]
    entries: list[Entry] = []
    patches: list[Tensor] = []
    done = 0
    with multiprocessing.Pool(os.cpu_count()) as workers:
        for recordings, runs, pictures in workers.imap(_draw, tasks):
            for recording, own in zip(recordings, runs, strict=True):
                entries.append(Entry(recording, own, done))
                done += len(own)
            patches.append(tower(image_pool.pixels(torch.from_numpy(pictures))).half())
    return Bank(entries, torch.cat(patches))


STILL_KINDS = ["what", "colour", "shape", "where", "count", "presence", "sign", "light", "describe"]


def stills(pool: image_pool.Pool, patches: Tensor) -> Bank:
    """Every image of a pool as a recording in which nothing happens, a second to a minute long."""
    rng = np.random.default_rng(80)
    entries = []
    for place, (slots, board, light) in enumerate(
        zip(pool.slots.tolist(), pool.board.tolist(), pool.light.tolist(), strict=True)
    ):
        length = int(rng.integers(1, 61))
        things = [
            scene.Thing(scene.SHAPES[s - 1], scene.COLOURS[c - 1], zone, 0.0, float(length))
            for zone, (s, c) in enumerate(slots)
            if s
        ]
        names = [t.name for t in things]
        # Most have several things: a single one cannot be confused with another.
        if len(set(names)) < len(names) or (len(names) < 2 and rng.random() < 0.8):
            continue
        text = scene.BOARDS[board - 1] if board else ""
        recording = scene.Recording(place, float(length), things, board=text, light_from=light, light_to=light)
        entries.append(Entry(recording, [(0, length - 1)], place, STILL_KINDS))
    return Bank(entries, patches)


def joined(first: Bank, second: Bank) -> Bank:
    """Both banks as one, the features of `second` after those of `first`."""
    moved = [Entry(e.recording, e.runs, e.start + len(first.patches), e.kinds) for e in second.entries]
    return Bank(first.entries + moved, torch.cat([first.patches, second.patches]))


def load(file: Path) -> Bank:
    """A bank that `torch.save` wrote; also one in which the classes still have the module names `bank` and `world`."""
    return torch.load(file, weights_only=False, pickle_module=_Renaming)


class _Renaming:
    """The part of the module `pickle` that `torch.load` uses."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            return super().find_class({"bank": __name__, "world": scene.__name__}.get(module, module), name)

    load = staticmethod(pickle.load)
