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
ORDERS = ["newest", "previous", "first", "mover", "changer"]
SETS = {"seen": PAIRS, "long": PAIRS, "place": 3 * PAIRS, "gone": PAIRS}
COUNTS = 5
RARE = {"long"}
TURNS = 3 + len(COLOURS) + 1  # the last move: none, right, left; the last change: none, a colour
LONG = 9.5  # seconds: between what questions call short and long


WEIGHT = torch.cat([torch.full((size,), 6.0 if name in RARE else 2.0) for name, size in SETS.items()])


def pair(shape: str, colour: str) -> int:
    return SHAPES.index(shape) * len(COLOURS) + COLOURS.index(colour)


def labels(recording: Recording, times: list[int]) -> tuple[np.ndarray, ...]:
    """For each second: orders [T, 5] (pair from 1, 0: none), count [T], sets [T, sum of SETS], clocks [T, 2], turns [T, 2]."""
    count = len(times)
    orders, counts = np.zeros((count, len(ORDERS)), np.int64), np.zeros(count, np.int64)
    turns = np.zeros((count, 2), np.int64)
    sets, clocks = np.zeros((count, sum(SETS.values())), np.float32), np.zeros((count, 2), np.float32)
    first = dict(zip(SETS, np.cumsum([0, *SETS.values()])))
    pairs = [pair(t.shape, t.colour) for t in recording.things]
    for row, time in enumerate(times):
        # A thing that comes between two frames is first seen at the second.
        come = [i for i, t in enumerate(recording.things) if t.start <= time]
        counts[row] = min(len(come), COUNTS - 1)
        clocks[row] = math.log1p(time), math.log1p(recording.things[come[-1]].start) if come else 0
        if come:
            orders[row, :3] = pairs[come[-1]] + 1, pairs[come[-2]] + 1 if len(come) > 1 else 0, pairs[come[0]] + 1
        for i in come:
            thing, p = recording.things[i], pairs[i]
            sets[row, first["seen"] + p] = 1
            sets[row, first["place"] + 3 * p + thing.zone] = 1
            sets[row, first["gone"] + p] = time >= thing.end
            sets[row, first["long"] + p] = min(time, thing.end) - thing.start > LONG
        moved = [(t.move_at, i) for i, t in enumerate(recording.things) if t.move_at is not None and time > t.move_at + world.MOVE / 2]
        if moved:
            last = recording.things[max(moved)[1]]
            orders[row, 3], turns[row, 0] = pairs[max(moved)[1]] + 1, 1 if (last.move_to or 0) > last.zone else 2
        changed = [(t.change_at, i) for i, t in enumerate(recording.things) if t.change_at is not None and time >= t.change_at]
        if changed:
            place = max(changed)[1]
            orders[row, 4], turns[row, 1] = pairs[place] + 1, COLOURS.index(recording.things[place].change_to or "") + 1
    return orders, counts, sets, clocks, turns


class Probes(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.orders = nn.Linear(width, len(ORDERS) * (PAIRS + 1))
        self.turns = nn.Linear(width, TURNS)
        self.counts = nn.Linear(width, COUNTS)
        self.sets = nn.Linear(width, sum(SETS.values()))
        self.clocks = nn.Linear(width, 2)
        nn.init.constant_(self.sets.bias, -3.0)


def loss(probes: Probes, hidden: Tensor, truth: tuple[Tensor, ...], real: Tensor) -> tuple[Tensor, dict[str, float]]:
    """hidden [R, S, H], truth as `labels` gives it per row, real [R, S]: rows that are no padding."""
    orders, counts, sets, clocks, turns = (part[real] for part in truth)
    x = probes.norm(hidden[real])
    said = probes.orders(x).view(-1, len(ORDERS), PAIRS + 1)
    number, members = probes.counts(x), probes.sets(x)
    total = F.cross_entropy(said.flatten(0, 1), orders.flatten()) * 4 + F.cross_entropy(number, counts)
    total = total + 20 * F.binary_cross_entropy_with_logits(members, sets, pos_weight=WEIGHT)
    total = total + 0.1 * F.mse_loss(probes.clocks(x), clocks)
    ways = probes.turns(x)
    total = total + F.cross_entropy(ways[:, :3], turns[:, 0]) + F.cross_entropy(ways[:, 3:], turns[:, 1])
    right = {name: float((said[:, i].argmax(-1) == orders[:, i]).float().mean()) for i, name in enumerate(ORDERS)}
    for place, name in [(3, "moved"), (4, "changed")]:
        some = orders[:, place] > 0
        right[name] = float((said[:, place].argmax(-1) == orders[:, place])[some].float().mean()) if some.any() else -1.0
    right["count"] = float((number.argmax(-1) == counts).float().mean())
    start = 0
    for name, size in SETS.items():
        part, wanted = members[:, start : start + size] > 0, sets[:, start : start + size] > 0
        hits = float((part & wanted).sum())
        right[name] = 2 * hits / max(1.0, float(part.sum() + wanted.sum()))
        start += size
    return total, right
