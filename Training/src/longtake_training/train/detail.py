"""Trains a variant of the bundled model that can read the board only from the fused text of its question.

    python -m longtake_training.train.detail --model Models/nano --out out/detail [--steps 150]

The bundled model reads everything from its vision tokens: the number of fusion frames changes none of its answers, so
it cannot show what a sample of fusion frames costs. Here the vision tokens are those of other images during training,
so nothing can be learned from them. The answer has to pass through the pre-fusion layers into the question's own rows,
as a mean over the fusion frames: a random fraction of them shows the text, the others an empty board.
`longtake_training.evaluate.index detail` asks it with different samples.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake_training import arguments
from longtake_training.model.checkpoint import export, load
from longtake_training.model.clip import VisionTower
from longtake_training.model.llava_mini import LlavaMini, causal_bias, rope_tables
from longtake_training.model.tokenizer import ClipTokenizer, Tokenizer
from longtake_training.train import progress
from longtake_training.world import image_pool, scene
from longtake_training.world.questions import TEMPLATES

BATCH, SHOWN, LONGEST = 48, 8, 600
NOTE = (
    "the bundled model, trained to read the board only from the frames a question is fused with; "
    "for measuring fusion samples"
)


class Pictures:
    """Patches of drawn images, with and without text on the board; `text`: index in scene.BOARDS."""

    def __init__(self, count: int, seed: int, tower) -> None:
        pool = image_pool.pool(count, seed)
        with torch.no_grad():
            self.patches = torch.cat([tower(image_pool.pixels(part)) for part in pool.pictures.split(250)])
        self.text = pool.board - 1
        self.written = (pool.board > 0).nonzero()[:, 0]
        self.empty = (pool.board == 0).nonzero()[:, 0]

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Indices of `count` images with text and of as many with an empty board."""
        return tuple(part[torch.from_numpy(rng.integers(0, len(part), count))] for part in (self.written, self.empty))


def fused(llava: LlavaMini, patches: Tensor, ids: Tensor) -> Tensor:
    """Rows [B, A, H] of one prompt `ids` [A], without its placeholder, fused with one frame each."""
    text = llava.embed(ids).expand(len(patches), -1, -1)
    return llava.prefuse(*llava.project(patches), text)[1]


def hidden(
    llava: LlavaMini,
    text: Tensor,
    visual: Tensor,
    before: int,
    answers: Tensor,
    often: Tensor,
    places: Tensor,
    length: int,
) -> Tensor:
    """Rows after the final norm, of the prompt's last row and the answers [B, T]. `often`: frames per vision token."""
    rows = torch.cat([text[:, :before], visual, text[:, before:], llava.embed(answers)], dim=1)
    shown, width = visual.shape[1], rows.shape[1]
    after = width - before - shown
    positions = torch.cat([torch.arange(before), before + places, before + length + torch.arange(after)])[None]
    bias = causal_bias(width, width).clone()
    bias[..., before : before + shown] += often.log()
    cos, sin = rope_tables(llava.language, positions)
    for layer in llava.model.layers:
        rows = layer(rows, cos, sin, bias)
    return llava.model.norm(rows)[:, text.shape[1] + shown - 1 :]


class Trainer:
    def __init__(self, llava: LlavaMini, tokenizer: Tokenizer, pictures: Pictures, seed: int) -> None:
        self.llava, self.pictures = llava, pictures
        self.rng = np.random.default_rng(seed)
        self.before = len(tokenizer.prefix_ids)
        self.prompts = [torch.tensor(tokenizer.prefix_ids + tokenizer.question_ids(q)) for q in TEMPLATES["sign"]]
        answers = [tokenizer.answer_ids(text) for text in [*scene.BOARDS, "nothing"]]
        width = max(map(len, answers))
        self.answers = torch.tensor([a + [-100] * (width - len(a)) for a in answers])
        self.visual: Tensor | None = None

    @torch.no_grad()
    def refresh(self) -> None:
        """Recomputes the vision tokens of some images."""
        some = torch.from_numpy(self.rng.integers(0, len(self.pictures.patches), 600))
        self.visual = self.llava.prefuse(*self.llava.project(self.pictures.patches[some]))[0][:, 0]

    def step(self, share: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the loss and which answers are right. `share` [B]: fraction of fusion frames that show the text."""
        count, rng = len(share), self.rng
        prompt = self.prompts[rng.integers(len(self.prompts))]
        written, empty = self.pictures.draw(rng, count)
        both = fused(self.llava, self.pictures.patches[torch.cat([written, empty])], prompt)
        text = share[:, None, None] * both[:count] + (1 - share[:, None, None]) * both[count:]
        assert self.visual is not None
        visual = self.visual[torch.from_numpy(rng.integers(0, len(self.visual), (count, SHOWN)))]
        length = int(rng.integers(SHOWN, LONGEST + 1))
        places = torch.from_numpy(np.sort(rng.choice(length, SHOWN, replace=False)))
        target = torch.where((share > 0)[:, None], self.answers[self.pictures.text[written]], self.answers[-1])
        found = hidden(
            self.llava,
            text,
            visual,
            self.before,
            target[:, :-1].clamp_min(0),
            torch.tensor(length / SHOWN),
            places,
            length,
        )
        logits = self.llava.logits(found)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), target.flatten())
        return loss, ((logits.argmax(-1) == target) | (target == -100)).all(-1)


def main() -> None:
    parser = arguments.parser("train.detail", __doc__)
    parser.add_argument("--model", type=Path, required=True, help="the bundled model")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the variant to")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--pictures", type=int, default=2000)
    options = parser.parse_args()
    llava, clip = load(options.model)
    tokenizer = Tokenizer.from_folder(options.model)
    clip_files = ClipTokenizer.from_folder(options.model / "vision_tower").files
    tower = VisionTower(clip.vision_cfg, vision_model=clip.vision_model)
    tower.requires_grad_(False).eval()
    torch.manual_seed(5)
    train = Trainer(llava, tokenizer, Pictures(options.pictures, 901, tower), 6)
    test = Trainer(llava, tokenizer, Pictures(1000, 902, tower), 7)
    parts = [llava.model.prefusion_layers, llava.model.layers, llava.model.norm, llava.lm_head]
    llava.requires_grad_(False)
    parameters = [p.requires_grad_(True) for part in parts for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.02)
    start = time.time()
    for step in range(1, options.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = progress.rate(step / options.steps, 1e-3)
        if step % 50 == 1:
            train.refresh()
        # All frames show the text at first, later down to an eighth of them. One sample in eight shows nothing.
        least = max(0.12, 1 - 1.6 * step / options.steps)
        share = torch.rand(BATCH) * (1 - least) + least
        share[torch.rand(BATCH) < 0.12] = 0
        with progress.products():
            loss, right = train.step(share)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 50 == 0:
            with torch.no_grad():
                test.visual = train.visual
                rights = {
                    s: float(torch.cat([test.step(torch.full((100,), s))[1] for _ in range(2)]).float().mean())
                    for s in (1.0, 0.5, 0.25, 0.125, 0.06, 0.0)
                }
            print(
                f"step {step}, loss {float(loss.detach()):.3f}, right by share of frames {rights}, "
                f"{time.time() - start:.0f} s",
                flush=True,
            )
    export(options.out, clip, llava, tokenizer.files, clip_files, NOTE)


if __name__ == "__main__":
    main()
