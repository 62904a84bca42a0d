"""Stage `compression`: the compressor attends to the things on the desk, so that a map of its attention shows them.

    python -m longtake_training.train.compression --model DIR --out DIR2 [--steps N]

Without it the compressor looks at patches of the wall, where the tower gathers what it knows about the whole frame. The
compressor is trained so that its attention falls on the patches that show a thing, and so that the rows after the
pre-fusion layers stay what they were: the vision token, and the text of a question. Nothing else changes.
As a stage of `longtake_training.train` it comes after the language model's; run by itself it reads and writes an
exported model.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake_training import arguments
from longtake_training.model.checkpoint import export, load
from longtake_training.model.clip import VisionTower
from longtake_training.model.llava_mini import LlavaMini
from longtake_training.model.tokenizer import ClipTokenizer, Tokenizer
from longtake_training.train import fusion, progress
from longtake_training.world import image_pool, questions, scene

BATCH, ASKED = 64, 12
"""Images per step, and how many of them are fused with a question as well."""
SEED = 700_001
"""The first seed of the recordings whose questions are asked."""
WEIGHT = 0.01
"""Weight of the attention's loss."""
PICTURES, HELD_OUT = 20_000, 2000
"""Images, the first of the pool, and how many of them are held out."""


@dataclass
class Rows:
    """Rows after the pre-fusion layers: vision tokens [N, C2, H], and one question's text [`ASKED`, A, H]."""

    vision: Tensor
    text: Tensor


def fused(llava: LlavaMini, patches: Tensor, prompt: Tensor) -> Rows:
    """Frames [N, P, D], the first `ASKED` with a prompt [A] without its placeholder."""
    rows, compressed = llava.project(patches)
    asked = min(ASKED, len(patches))
    first, text = llava.prefuse(rows[:asked], compressed[:asked], llava.embed(prompt).expand(asked, -1, -1))
    assert text is not None
    if len(patches) == asked:
        return Rows(first, text)
    rest, _ = llava.prefuse(rows[asked:], compressed[asked:])
    return Rows(torch.cat([first, rest]), text)


def asked(tokenizer: Tokenizer, recordings: int) -> list[Tensor]:
    """Prompts without their placeholder, of every question about some recordings."""
    rng = np.random.default_rng([SEED, 81])
    seeds = [seed for seed in range(SEED, SEED + 2 * recordings) if scene.split_of(seed) == "train"][:recordings]
    found = [q for seed in seeds for q in questions.questions(scene.random_recording(seed, "train"), rng)]
    return [torch.tensor(tokenizer.prefix_ids + tokenizer.question_ids(q.text)) for q in found]


def difference(found: Rows, wanted: Rows) -> Tensor:
    """Mean squared difference, as a fraction of the variance, of the vision tokens and of the text."""
    return sum(
        (F.mse_loss(a, b) / b.var() for a, b in ((found.vision, wanted.vision), (found.text, wanted.text))),
        start=torch.zeros(()),
    )


def on_things(llava: LlavaMini, patches: Tensor, shown: Tensor) -> Tensor:
    """Attention [N] that falls on the patches `shown` [N, P], a mean over heads and vision tokens."""
    weights = llava.model.compressor.scores(patches).softmax(-1).mean((1, 2))
    return (weights * shown).sum(-1)


@torch.no_grad()
def held_out(llava: LlavaMini, before: LlavaMini, patches: Tensor, shown: Tensor, prompt: Tensor) -> dict[str, float]:
    """What the attention and the rows are like for frames that were not trained on."""
    attention, areas, cosines, differences = [], [], [], []
    for part, seen in zip(patches.split(250), shown.split(250), strict=True):
        part = part.float()
        found, wanted = fused(llava, part, prompt), fused(before, part, prompt)
        cosines.append(F.cosine_similarity(found.vision.flatten(1), wanted.vision.flatten(1)))
        differences.append(difference(found, wanted))
        there = seen.any(-1)
        attention.append(on_things(llava, part, seen)[there])
        areas.append(seen[there].float().mean(-1))
    area = torch.cat(areas).mean()
    return {
        "on things": float(torch.cat(attention).mean()),
        "area": float(area),
        "ratio": float(torch.cat(attention).mean() / area),
        "cosine": float(torch.cat(cosines).mean()),
        "lowest cosine": float(torch.cat(cosines).min()),
        "difference": float(torch.stack(differences).mean()),
    }


def run(
    llava: LlavaMini,
    pool: image_pool.Pool,
    patches: Tensor,
    tokenizer: Tokenizer,
    steps: int,
    file: Path | None,
    log: progress.Log,
    peak: float = 1e-3,
) -> dict[str, float]:
    """Trains the compressor in place on at most `PICTURES` images of the pool; saves the model to `file`."""
    torch.manual_seed(5)
    before = copy.deepcopy(llava).requires_grad_(False)
    llava.requires_grad_(False)
    parameters = [p.requires_grad_(True) for p in llava.model.compressor.parameters()]
    prompts = asked(tokenizer, 200)
    optimizer = torch.optim.AdamW(parameters, lr=peak, betas=(0.9, 0.98), weight_decay=0.0)
    patches, shown = patches[:PICTURES], pool.patches[:PICTURES, :, 0] > 0
    count = len(patches) - HELD_OUT
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = progress.rate(step / steps, peak)
        at = torch.randint(0, count, (BATCH,))
        prompt = prompts[int(torch.randint(0, len(prompts), ()))]
        some = patches[at].float()
        with torch.no_grad():
            wanted = fused(before, some, prompt)
        changed = difference(fused(llava, some, prompt), wanted)
        there = shown[at].any(-1)
        looked = on_things(llava, some, shown[at])[there]
        loss = changed - WEIGHT * looked.log().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 50 == 0:
            figures = {"loss": loss, "difference": changed, "on things": looked.mean()}
            log.write("compression", step, {name: float(value.detach()) for name, value in figures.items()})
    result = held_out(llava, before, patches[count:], shown[count:], prompts[0])
    log.write("compression held out", steps, result)
    if file is not None:
        torch.save(llava.state_dict(), file)
    return result


def main() -> None:
    parser = arguments.parser("train.compression", __doc__)
    parser.add_argument("--model", type=Path, required=True, help="an exported model")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the new one to")
    parser.add_argument("--work", type=Path, required=True, help="where images and log are kept")
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    llava, clip = load(options.model)
    tokenizer = Tokenizer.from_folder(options.model)
    tower = VisionTower(clip.vision_cfg, vision_model=clip.vision_model)
    tower.requires_grad_(False).eval()
    pool = image_pool.pool(PICTURES, 1, options.work / f"pool-{PICTURES}.pt")
    patches = fusion.features(tower, pool)
    run(llava, pool, patches, tokenizer, options.steps, None, progress.Log(options.work / "log.jsonl"))
    configs = {}
    for name in ("config.json", "generation_config.json"):
        configs[name] = json.loads((options.model / name).read_text())
    note = configs["config.json"]["_longtake"]
    clip_files = ClipTokenizer.from_folder(options.model / "vision_tower").files
    export(options.out, clip, llava, tokenizer.files, clip_files, note, configs)


if __name__ == "__main__":
    main()
