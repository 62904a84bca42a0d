"""Dense labels in time: everything known up to each second. Linear probes on the language model's frame rows read them.

An answer teaches one fact about a recording. These labels teach for every second which thing came when and after which
other, and what has moved, changed or stayed: the facts that questions ask for. The probes are discarded.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake_training.world import questions, scene
from longtake_training.world.scene import COLOURS, SHAPES, Recording

PAIRS = len(SHAPES) * len(COLOURS)
ORDERS = ["newest", "previous", "first", "mover", "changer"]
SETS = {"seen": PAIRS, "long": PAIRS, "place": 3 * PAIRS, "gone": PAIRS}
COUNTS = 5
RARE = {"long"}
TURNS = 3 + len(COLOURS) + 1  # the last move: none, right, left; the last change: none, a colour
FINE, STEP, RATIO = 60, 2.5, 1.1
BUCKETS = 102  # intervals: 2.5 s each for a minute, then each 10 % longer than the one before, up to 25 h
LONG = 9.5  # seconds: the limit between a short and a long stay


WEIGHT = torch.cat([torch.full((size,), 6.0 if name in RARE else 2.0) for name, size in SETS.items()])


def pair(shape: str, colour: str) -> int:
    return SHAPES.index(shape) * len(COLOURS) + COLOURS.index(colour)


def bucket(time: float) -> int:
    """The index of the interval that contains a second."""
    if time < FINE:
        return int(time / STEP)
    return min(BUCKETS - 1, int(FINE / STEP + math.log(time / FINE) / math.log(RATIO)))


def labels(recording: Recording, times: list[int]) -> tuple[np.ndarray, ...]:
    """Labels for each second.

    orders [T, 5] (pair from 1, 0: none), count [T], sets [T, sum of SETS], clocks [T, 2], turns [T, 2], and
    buckets [T, 2] of the second itself and of the newest thing's start (-100: none).
    """
    count = len(times)
    orders, counts = np.zeros((count, len(ORDERS)), np.int64), np.zeros(count, np.int64)
    turns, buckets = np.zeros((count, 2), np.int64), np.full((count, 2), -100, np.int64)
    sets, clocks = np.zeros((count, sum(SETS.values())), np.float32), np.zeros((count, 2), np.float32)
    first = dict(zip(SETS, np.cumsum([0, *SETS.values()]), strict=False))
    pairs = [pair(t.shape, t.colour) for t in recording.things]
    for row, time in enumerate(times):
        # A thing that appears between two frames is first visible in the second one.
        come = [i for i, t in enumerate(recording.things) if t.start <= time]
        counts[row] = min(len(come), COUNTS - 1)
        clocks[row] = math.log1p(time), math.log1p(recording.things[come[-1]].start) if come else 0
        buckets[row, 0] = bucket(time)
        if come:
            buckets[row, 1] = bucket(recording.things[come[-1]].start)
            orders[row, :3] = pairs[come[-1]] + 1, pairs[come[-2]] + 1 if len(come) > 1 else 0, pairs[come[0]] + 1
        for i in come:
            thing, p = recording.things[i], pairs[i]
            sets[row, first["seen"] + p] = 1
            sets[row, first["place"] + 3 * p + thing.zone] = 1
            sets[row, first["gone"] + p] = time >= thing.end
            sets[row, first["long"] + p] = min(time, thing.end) - thing.start > LONG
        moved = [
            (t.move_at, i)
            for i, t in enumerate(recording.things)
            if t.move_at is not None and time > t.move_at + scene.MOVE / 2
        ]
        if moved:
            last = recording.things[max(moved)[1]]
            orders[row, 3], turns[row, 0] = pairs[max(moved)[1]] + 1, 1 if (last.move_to or 0) > last.zone else 2
        changed = [
            (t.change_at, i) for i, t in enumerate(recording.things) if t.change_at is not None and time >= t.change_at
        ]
        if changed:
            place = max(changed)[1]
            orders[row, 4], turns[row, 1] = pairs[place] + 1, COLOURS.index(recording.things[place].change_to or "") + 1
    return orders, counts, sets, clocks, turns, buckets


class Probes(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.orders = nn.Linear(width, len(ORDERS) * (PAIRS + 1))
        self.turns = nn.Linear(width, TURNS)
        self.counts = nn.Linear(width, COUNTS)
        self.sets = nn.Linear(width, sum(SETS.values()))
        self.clocks = nn.Linear(width, 2)
        self.buckets = nn.Linear(width, 2 * BUCKETS)
        self.asked = nn.Linear(width, 3 * BUCKETS)
        self.about = nn.Linear(width, PAIRS + 1 + len(questions.KINDS))
        nn.init.constant_(self.sets.bias, -3.0)


def loss(
    probes: Probes, hidden: Tensor, truth: tuple[Tensor, ...], real: Tensor, counting: float = 1
) -> tuple[Tensor, dict[str, float]]:
    """hidden [R, S, H], truth as `labels` gives it per row, real [R, S]: rows without padding;
    `counting`: weight of the number of things."""
    orders, counts, sets, clocks, turns, buckets = (part[real] for part in truth)
    x = probes.norm(hidden[real])
    said = probes.orders(x).view(-1, len(ORDERS), PAIRS + 1)
    number, members = probes.counts(x), probes.sets(x)
    total = F.cross_entropy(said.flatten(0, 1), orders.flatten()) * 4 + counting * F.cross_entropy(number, counts)
    total = total + 20 * F.binary_cross_entropy_with_logits(members, sets, pos_weight=WEIGHT)
    total = total + 0.1 * F.mse_loss(probes.clocks(x), clocks)
    times = probes.buckets(x).view(-1, 2, BUCKETS)
    total = total + 0.5 * F.cross_entropy(times.flatten(0, 1), buckets.flatten())
    ways = probes.turns(x)
    total = total + F.cross_entropy(ways[:, :3], turns[:, 0]) + F.cross_entropy(ways[:, 3:], turns[:, 1])
    right = {name: float((said[:, i].argmax(-1) == orders[:, i]).float().mean()) for i, name in enumerate(ORDERS)}
    for place, name in [(3, "moved"), (4, "changed")]:
        some = orders[:, place] > 0
        right[name] = (
            float((said[:, place].argmax(-1) == orders[:, place])[some].float().mean()) if some.any() else -1.0
        )
    for place, name in enumerate(["second", "start"]):
        near = (times[:, place].argmax(-1) - buckets[:, place]).abs() <= 1
        right[name] = float(near[buckets[:, place] >= 0].float().mean())
    right["count"] = float((number.argmax(-1) == counts).float().mean())
    start = 0
    for name, size in SETS.items():
        part, wanted = members[:, start : start + size] > 0, sets[:, start : start + size] > 0
        hits = float((part & wanted).sum())
        right[name] = 2 * hits / max(1.0, float(part.sum() + wanted.sum()))
        start += size
    return total, right


def topic(question: questions.Question) -> tuple[int, int]:
    """The pair that a question names, from 1 (0: none, -100: only half of one), and its kind."""
    shape, colour = question.about
    kind = questions.KINDS.index(question.kind)
    return (pair(shape, colour) + 1 if shape and colour else -100 if shape or colour else 0), kind


def asked_loss(probes: Probes, hidden: Tensor, truth: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Loss of the probes that read the question's topic from the rows of its answer [N, H].

    truth [N, 5]: buckets of the recording's length and of the two times named in the question, the pair it names, and
    its kind (-100: none).
    """
    x = probes.norm(hidden)
    said = probes.asked(x).view(-1, 3, BUCKETS)
    pairs, kinds = probes.about(x).split([PAIRS + 1, len(questions.KINDS)], dim=-1)
    right = {}
    for place, name in enumerate(["length", "from", "to"]):
        known = truth[:, place] >= 0
        near = (said[:, place].argmax(-1) - truth[:, place]).abs() <= 1
        right[name] = float(near[known].float().mean()) if known.any() else -1.0
    known = truth[:, 3] > 0
    right["about"] = float((pairs.argmax(-1) == truth[:, 3])[known].float().mean()) if known.any() else -1.0
    total = 0.5 * F.cross_entropy(said.flatten(0, 1), truth[:, :3].flatten())
    return total + 2 * F.cross_entropy(pairs, truth[:, 3]) + 0.5 * F.cross_entropy(kinds, truth[:, 4]), right
