"""A pool of single images of the desk with labels, drawn by several processes and kept in one file."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from longtake_training.world import scene

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)


def pixels(pictures: Tensor) -> Tensor:
    """uint8 [N, 84, 84, 3] to the tower's input [N, 3, 84, 84]."""
    return (pictures.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


def draw(state: scene.State, look: scene.Look, rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    """One image as preprocessing would return it: small, with camera shake and the blur of a codec."""
    offset = tuple(float(v) for v in rng.normal(0, look.jitter, 2).clip(-1.5, 1.5))
    picture = scene.render(state, look, rng, offset=offset)
    amount = rng.uniform(-0.2, 0.6)
    if abs(amount) > 0.1:
        p = np.pad(picture.astype(np.float32), ((1, 1), (1, 1), (0, 0)), mode="edge")
        p = (p[:-2] + p[1:-1] + p[2:]) / 3
        blurred = (p[:, :-2] + p[:, 1:-1] + p[:, 2:]) / 3
        picture = np.clip(picture + amount * (blurred - picture) + 0.5, 0, 255).astype(np.uint8)
    return picture, offset


@dataclass
class Pool:
    """N images with labels. `slots` [N, 3, 2] and `patches` [N, 36, 2]: shape and color from 1, 0: none;
    `board` [N]: index in scene.BOARDS from 1, 0: empty; `light` [N]: 1 by day."""

    pictures: Tensor
    slots: Tensor
    patches: Tensor
    board: Tensor
    light: Tensor

    def __len__(self) -> int:
        return len(self.pictures)


def _part(task: tuple[int, int]) -> list[np.ndarray]:
    seed, count = task
    rng = np.random.default_rng([seed, 77])
    result = [
        np.zeros((count, 84, 84, 3), np.uint8),
        np.zeros((count, 3, 2), np.int64),
        np.zeros((count, 36, 2), np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
    ]
    for i in range(count):
        look, state = scene.random_look(rng), scene.random_state(rng)
        result[0][i], offset = draw(state, look, rng)
        result[1][i] = state.slots()
        result[2][i] = np.stack(scene.patch_labels(state, look, offset), 1)
        result[3][i] = scene.BOARDS.index(state.board) + 1 if state.board else 0
        result[4][i] = state.light > 0.5
    return result


def pool(count: int, seed: int, file: Path | None = None) -> Pool:
    """`count` random images. Seeds of pools and of recordings are independent."""
    if file is not None and file.exists():
        return Pool(**torch.load(file))
    tasks = [(seed * 100_000 + i, min(500, count - start)) for i, start in enumerate(range(0, count, 500))]
    with multiprocessing.Pool(os.cpu_count()) as workers:
        parts = workers.map(_part, tasks)
    tensors = [torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True)]
    made = Pool(*tensors)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(vars(made), file)
    return made
