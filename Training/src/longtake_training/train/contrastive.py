"""Stage `contrastive`: text tower, last vision layer and both projections, so that a text finds its frames.

The layers that the language model uses are frozen: the contrastive loss trains only the layers after them.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake_training.model.clip import ClipModel
from longtake_training.model.tokenizer import ClipTokenizer
from longtake_training.train import progress
from longtake_training.world import image_pool, questions, scene

BATCH = 256


def captions(pool: image_pool.Pool, tokenizer: ClipTokenizer) -> Tensor:
    """Ids [N, T] of one caption per image."""
    rows = []
    for slots, board, light in zip(pool.slots.tolist(), pool.board.tolist(), pool.light.tolist(), strict=True):
        things = [
            scene.Seen(scene.SHAPES[s - 1], scene.COLOURS[c - 1], 14.0 + 28 * zone, 50, 10, 0)
            for zone, (s, c) in enumerate(slots)
            if s
        ]
        state = scene.State(things, scene.BOARDS[board - 1] if board else "", float(light))
        rows.append(tokenizer.clip_ids(questions.caption(state)))
    # Tokens after the first end have no effect.
    width = max(row.index(tokenizer.end_id) for row in rows) + 1
    return torch.tensor([row[:width] for row in rows])


def keys(pool: image_pool.Pool) -> Tensor:
    """An integer per image that is equal for images with equal captions."""
    slots = pool.slots.flatten(1)
    key = torch.zeros(len(pool), dtype=torch.int64)
    for column in range(slots.shape[1]):
        key = key * 7 + slots[:, column]
    return (key * 128 + pool.board) * 2 + pool.light


def run(
    clip: ClipModel,
    pool: image_pool.Pool,
    tokenizer: ClipTokenizer,
    steps: int,
    file: Path,
    log: progress.Log,
    peak: float = 1.5e-3,
) -> float:
    """Trains in place; returns the share of 1,000 held-out captions that find their own picture first."""
    torch.manual_seed(4)
    used = clip.tower().used
    ids, key = captions(pool, tokenizer), keys(pool)
    encoder = clip.vision_model.encoder.layers
    with torch.no_grad():
        hidden = []
        for part in pool.pictures.split(500):
            x = clip.vision_model.hidden(image_pool.pixels(part))
            for layer in encoder[:used]:
                x = layer(x)
            hidden.append(x.half())
        states = torch.cat(hidden)

    def image(at: Tensor) -> Tensor:
        x = states[at].float()
        for layer in encoder[used:]:
            x = layer(x)
        return F.normalize(clip.visual_projection(clip.vision_model.post_layernorm(x[:, 0])), dim=-1)

    def text(at: Tensor) -> Tensor:
        return F.normalize(clip.text_embedding(ids[at]), dim=-1)

    parts = [
        encoder[used:],
        clip.vision_model.post_layernorm,
        clip.visual_projection,
        clip.text_model,
        clip.text_projection,
    ]
    parameters = [*(p for part in parts for p in part.parameters()), clip.logit_scale]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=peak, betas=(0.9, 0.98), weight_decay=0.02)
    count = len(pool) - 2000
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = progress.rate(step / steps, peak)
        at = torch.randint(0, count, (BATCH,))
        scores = clip.logit_scale.exp().clamp(max=100) * image(at) @ text(at).T
        # Another image with the same caption is not a wrong answer.
        same = (key[at][:, None] == key[at][None]) & ~torch.eye(BATCH, dtype=torch.bool)
        scores = scores.masked_fill(same, -1e4)
        target = torch.arange(BATCH)
        loss = (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 100 == 0:
            right = (scores.argmax(1) == target).float().mean()
            log.write("contrastive", step, {"loss": float(loss.detach()), "of the batch": float(right)})
    with torch.no_grad():
        held_out: list[int] = []
        known: set[int] = set()
        for place in range(count, len(pool)):
            if int(key[place]) not in known:
                known.add(int(key[place]))
                held_out.append(place)
        at = torch.tensor(held_out[:1000])
        found = (image(at) @ text(at).T).argmax(0)
        recall = float((found == torch.arange(len(at))).float().mean())
    log.write("contrastive held out", steps, {"recall at 1": recall, "of": len(at)})
    torch.save(clip.state_dict(), file)
    return recall
