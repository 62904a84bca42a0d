"""Stage `tower`: the vision tower, with dense labels per patch. The heads are discarded."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake_training.model.clip import VisionTower
from longtake_training.train import progress
from longtake_training.world import image_pool, scene

BATCH = 128


class DenseHeads(nn.Module):
    """Shape and color per patch; board and light per image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.shape = nn.Linear(width, len(scene.SHAPES) + 1)
        self.colour = nn.Linear(width, len(scene.COLOURS) + 1)
        self.board = nn.Linear(18 * width, len(BOARD_PARTS) + 20)
        self.light = nn.Linear(width, 2)


BOARD_PARTS = ["", "number", *scene.WORDS]


def board_labels(board: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Kind of the board's text, its tens and its units; -100 (not counted) for tens and units of words."""
    number = board - 1 - len(scene.WORDS)
    kind = torch.where(board == 0, 0, torch.where(number >= 0, 1, board + 1))
    none = torch.full_like(board, -100)
    value = number + 10
    return kind, torch.where(number >= 0, value // 10, none), torch.where(number >= 0, value % 10, none)


def dense_loss(
    heads: DenseHeads, patches: Tensor, pool: image_pool.Pool, at: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropies, where the empty desk has a tenth of a thing's weight, and the accuracies."""
    shape_labels, colour_labels = pool.patches[at].unbind(-1)
    weight = torch.full((7,), 1.0)
    weight[0] = 0.1
    shape, colour = heads.shape(patches), heads.colour(patches)
    loss = F.cross_entropy(shape.flatten(0, 1), shape_labels.flatten(), weight)
    loss = loss + F.cross_entropy(colour.flatten(0, 1), colour_labels.flatten(), weight)
    # The board is in the two upper rows of patches (and half of the third, for shaken cameras).
    board = heads.board(patches[:, :18].flatten(1))
    kind, tens, units = board_labels(pool.board[at])
    parts = len(BOARD_PARTS)
    loss = loss + F.cross_entropy(board[:, :parts], kind)
    loss = loss + F.cross_entropy(board[:, parts : parts + 10], tens) + F.cross_entropy(board[:, parts + 10 :], units)
    light = heads.light(patches.mean(1))
    loss = loss + 0.3 * F.cross_entropy(light, pool.light[at])
    things = shape_labels > 0
    number = tens >= 0
    right = {
        "shape": (shape.argmax(-1) == shape_labels)[things],
        "colour": (colour.argmax(-1) == colour_labels)[things],
        "board": board[:, :parts].argmax(-1) == kind,
        "tens": (board[:, parts : parts + 10].argmax(-1) == tens)[number],
        "units": (board[:, parts + 10 :].argmax(-1) == units)[number],
        "light": light.argmax(-1) == pool.light[at],
    }
    return loss, {name: float(value.float().mean()) for name, value in right.items()}


def run(
    tower: VisionTower,
    heads: DenseHeads,
    pool: image_pool.Pool,
    steps: int,
    file: Path,
    log: progress.Log,
    peak: float = 1.5e-3,
) -> None:
    """Trains in place and saves the result to `file`."""
    torch.manual_seed(1)
    parameters = [*tower.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=peak, betas=(0.9, 0.98), weight_decay=0.02)
    held_out = torch.arange(len(pool) - 2000, len(pool))
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = progress.rate(step / steps, peak)
        at = torch.randint(0, len(pool) - 2000, (BATCH,))
        loss, right = dense_loss(heads, tower(image_pool.pixels(pool.pictures[at])), pool, at)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 100 == 0:
            log.write("tower", step, {"loss": float(loss.detach()), **right})
    with torch.no_grad():
        rights = [
            dense_loss(heads, tower(image_pool.pixels(pool.pictures[at])), pool, at)[1] for at in held_out.split(250)
        ]
    log.write("tower held out", steps, {name: sum(r[name] for r in rights) / len(rights) for name in rights[0]})
    torch.save({"tower": tower.state_dict(), "heads": heads.state_dict()}, file)
