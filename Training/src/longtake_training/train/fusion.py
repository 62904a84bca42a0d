"""Stage `fusion`: compressor, projector and pre-fusion layers, so that one token holds everything about a frame.

Linear probes read the things in each zone, the board's text and day or night from the fused token; they are discarded.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake_training.model.clip import VisionTower
from longtake_training.model.llava_mini import LlavaMini
from longtake_training.train import progress
from longtake_training.train.tower import BOARD_PARTS, board_labels
from longtake_training.world import image_pool, scene

BATCH = 256
PAIRS = len(scene.SHAPES) * len(scene.COLOURS)


class Probes(nn.Module):
    def __init__(self, width: int, tokens: int = 1) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width * tokens, elementwise_affine=False)
        self.zones = nn.Linear(width * tokens, 3 * (PAIRS + 1))
        self.marginals = nn.Linear(width * tokens, 3 * (len(scene.SHAPES) + len(scene.COLOURS) + 2))
        self.board = nn.Linear(width * tokens, len(BOARD_PARTS) + 20)
        self.light = nn.Linear(width * tokens, 2)


def probe_loss(probes: Probes, tokens: Tensor, pool: image_pool.Pool, at: Tensor) -> tuple[Tensor, dict[str, float]]:
    """tokens [N, C2, H]. Cross-entropies, and the accuracy for zones, boards and light."""
    x = probes.norm(tokens.flatten(1))
    shape, colour = pool.slots[at].unbind(-1)
    pair = torch.where(shape > 0, (shape - 1) * len(scene.COLOURS) + colour, 0)
    zones = probes.zones(x).view(-1, 3, PAIRS + 1)
    loss = 2 * F.cross_entropy(zones.flatten(0, 1), pair.flatten())
    shapes, colours = probes.marginals(x).view(-1, 3, 14).split(7, dim=-1)
    loss = loss + 0.5 * F.cross_entropy(shapes.flatten(0, 1), shape.flatten())
    loss = loss + 0.5 * F.cross_entropy(colours.flatten(0, 1), colour.flatten())
    board = probes.board(x)
    kind, tens, units = board_labels(pool.board[at])
    parts = len(BOARD_PARTS)
    loss = loss + F.cross_entropy(board[:, :parts], kind)
    loss = loss + F.cross_entropy(board[:, parts : parts + 10], tens) + F.cross_entropy(board[:, parts + 10 :], units)
    light = probes.light(x)
    loss = loss + 0.3 * F.cross_entropy(light, pool.light[at])
    number = tens >= 0
    things = pair > 0
    read = (board[:, :parts].argmax(-1) == kind) & (
        ~number | ((board[:, parts : parts + 10].argmax(-1) == tens) & (board[:, parts + 10 :].argmax(-1) == units))
    )
    right = {
        "things": (zones.argmax(-1) == pair)[things],
        "empty": (zones.argmax(-1) == pair)[~things],
        "board": read,
        "light": light.argmax(-1) == pool.light[at],
    }
    return loss, {name: float(value.float().mean()) for name, value in right.items()}


@torch.no_grad()
def features(tower: VisionTower, pool: image_pool.Pool) -> Tensor:
    """The tower's patches of a whole pool, [N, P, D] in half precision."""
    return torch.cat([tower(image_pool.pixels(part)).half() for part in pool.pictures.split(500)])


def run(
    llava: LlavaMini,
    pool: image_pool.Pool,
    patches: Tensor,
    steps: int,
    file: Path | None,
    log: progress.Log,
    peak: float = 2e-3,
    name: str = "fusion",
) -> dict[str, float]:
    """Trains compressor, projector and pre-fusion layers in place; returns the accuracy on held-out images."""
    torch.manual_seed(2)
    probes = Probes(llava.language.width, llava.fusion.tokens)
    body = llava.model
    parts = [body.compressor, body.mm_projector, body.prefusion_layers, probes]
    parameters = [p for part in parts for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=peak, betas=(0.9, 0.98), weight_decay=0.02)
    count = len(pool) - 2000
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = progress.rate(step / steps, peak)
        at = torch.randint(0, count, (BATCH,))
        with progress.products():
            rows, compressed = llava.project(patches[at].float())
            tokens, _ = llava.prefuse(rows.float(), compressed.float())
        loss, right = probe_loss(probes, tokens.float(), pool, at)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 100 == 0:
            log.write(name, step, {"loss": float(loss.detach()), **right})
    with torch.no_grad():
        rights = [
            probe_loss(probes, llava.prefuse(*llava.project(patches[at].float()))[0], pool, at)[1]
            for at in torch.arange(count, len(pool)).split(250)
        ]
    result = {key: sum(r[key] for r in rights) / len(rights) for key in rights[0]}
    log.write(f"{name} held out", steps, result)
    if file is not None:
        torch.save(llava.state_dict(), file)
    return result
