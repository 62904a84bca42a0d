"""Dense labels in time: what a watcher knows at every second. Linear probes on the frame rows inside the language model read it;
they are thrown away.

An answer teaches a model one thing about a recording. These labels teach it for every second which thing came when, which was before
it, what has moved, changed and stayed: what the questions are about.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import world
from world import COLOURS, SHAPES, Recording

PAIRS = len(SHAPES) * len(COLOURS)
ORDERS = ["newest", "previous", "first"]
SETS = {"seen": PAIRS, "long": PAIRS, "right": PAIRS, "left": PAIRS, "changed": PAIRS, "new colour": len(COLOURS),
        "place": 3 * PAIRS, "gone": PAIRS}
COUNTS = 5
LONG = 9.5  # seconds: between what questions call short and long


def pair(shape: str, colour: str) -> int:
    return SHAPES.index(shape) * len(COLOURS) + COLOURS.index(colour)


def labels(recording: Recording, times: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each second: orders [T, 3] (pair from 1, 0: none), count [T], sets [T, sum of SETS], clocks [T, 2]."""
    count = len(times)
    orders, counts = np.zeros((count, 3), np.int64), np.zeros(count, np.int64)
    sets, clocks = np.zeros((count, sum(SETS.values())), np.float32), np.zeros((count, 2), np.float32)
    first = dict(zip(SETS, np.cumsum([0, *SETS.values()])))
    pairs = [pair(t.shape, t.colour) for t in recording.things]
    for row, time in enumerate(times):
        # A thing that comes between two frames is first seen at the second.
        come = [i for i, t in enumerate(recording.things) if t.start <= time]
        counts[row] = min(len(come), COUNTS - 1)
        clocks[row] = math.log1p(time), math.log1p(recording.things[come[-1]].start) if come else 0
        if come:
            orders[row] = pairs[come[-1]] + 1, pairs[come[-2]] + 1 if len(come) > 1 else 0, pairs[come[0]] + 1
        for i in come:
            thing, p = recording.things[i], pairs[i]
            sets[row, first["seen"] + p] = 1
            sets[row, first["place"] + 3 * p + thing.zone] = 1
            sets[row, first["gone"] + p] = time >= thing.end
            sets[row, first["long"] + p] = min(time, thing.end) - thing.start > LONG
            if thing.move_at is not None and thing.move_to is not None and time > thing.move_at + world.MOVE / 2:
                sets[row, first["right" if thing.move_to > thing.zone else "left"] + p] = 1
            if thing.change_at is not None and thing.change_to and time >= thing.change_at:
                sets[row, first["changed"] + p] = 1
                sets[row, first["new colour"] + COLOURS.index(thing.change_to)] = 1
    return orders, counts, sets, clocks


class Probes(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.orders = nn.Linear(width, 3 * (PAIRS + 1))
        self.counts = nn.Linear(width, COUNTS)
        self.sets = nn.Linear(width, sum(SETS.values()))
        self.clocks = nn.Linear(width, 2)
        nn.init.constant_(self.sets.bias, -3.0)


def loss(probes: Probes, hidden: Tensor, truth: tuple[Tensor, Tensor, Tensor, Tensor], real: Tensor) -> tuple[Tensor, dict[str, float]]:
    """hidden [R, S, H], truth as `labels` gives it per row, real [R, S]: rows that are no padding."""
    orders, counts, sets, clocks = (part[real] for part in truth)
    x = probes.norm(hidden[real])
    said = probes.orders(x).view(-1, 3, PAIRS + 1)
    number, members = probes.counts(x), probes.sets(x)
    total = F.cross_entropy(said.flatten(0, 1), orders.flatten()) * 2 + F.cross_entropy(number, counts)
    total = total + 20 * F.binary_cross_entropy_with_logits(members, sets, pos_weight=torch.tensor(2.0))
    total = total + 0.1 * F.mse_loss(probes.clocks(x), clocks)
    right = {name: float((said[:, i].argmax(-1) == orders[:, i]).float().mean()) for i, name in enumerate(ORDERS)}
    right["count"] = float((number.argmax(-1) == counts).float().mean())
    start = 0
    for name, size in SETS.items():
        part, wanted = members[:, start : start + size] > 0, sets[:, start : start + size] > 0
        hits = float((part & wanted).sum())
        right[name] = 2 * hits / max(1.0, float(part.sum() + wanted.sum()))
        start += size
    return total, right
