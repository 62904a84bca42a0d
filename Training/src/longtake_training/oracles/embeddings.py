"""Searches 1,000 captions among as many frames with `longtake model embed`; compares its embeddings with PyTorch's.

    python -m longtake_training.oracles.embeddings --model Models/nano [--count 1000] [--work out/check-clip]

The captions are all different, and no frame is from training. The result is written as JSON to Training/report (`--out`
names another folder). Exit status 1: fewer than 0.9 of the captions find their frame first, or a value of an embedding
differs by more than 1e-4.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from longtake_training import arguments, paths
from longtake_training.evaluate import asking
from longtake_training.model import checkpoint
from longtake_training.model.clip import ClipModel
from longtake_training.model.tokenizer import ClipTokenizer
from longtake_training.world import image_pool, questions, recordings, scene

SEED = [20_250_103, 707]
"""Its last number differs from those of image pools (77) and feature banks (78)."""
RECALL = 0.9
LIMIT = 1e-4
AT_ONCE = 100


def draw(count: int) -> tuple[list[str], np.ndarray]:
    """Captions, all different, and the frames [N, 84, 84, 3] they are true of."""
    rng = np.random.default_rng(SEED)
    drawn: dict[str, np.ndarray] = {}
    while len(drawn) < count:
        look, state = scene.random_look(rng), scene.random_state(rng)
        picture, _ = image_pool.draw(state, look, rng)
        drawn.setdefault(questions.caption(state), picture)
    return list(drawn), np.stack(list(drawn.values()))


def write(work: Path, captions: list[str], pictures: np.ndarray) -> tuple[Path, Path]:
    """The frames as PNG, a file with the captions, and one with the frames' paths."""
    folder = work / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:06}.png" for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    texts, images = work / "captions.txt", work / "frames.txt"
    texts.write_text("".join(f"{caption}\n" for caption in captions))
    images.write_text("".join(f"{path}\n" for path in paths))
    return texts, images


def by_program(program: Path, model: Path, texts: Path, images: Path, threads: int) -> tuple[Tensor, Tensor]:
    """Embeddings [N, E] of texts and of images, in f32 and in the files' order."""
    command = [
        str(program),
        "model",
        "embed",
        str(model),
        "--texts",
        str(texts),
        "--images",
        str(images),
        "--precision",
        "f32",
        "--threads",
        str(threads),
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LONGTAKE_") or k == "LONGTAKE_NO_SECCOMP"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"longtake model embed: exit status {done.returncode}: {done.stderr.strip()[-400:]}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = []
    for kind, file in (("text", texts), ("image", images)):
        own = [line for line in lines if line["kind"] == kind]
        if [line["input"] for line in own] != file.read_text().splitlines():
            raise RuntimeError(f"longtake model embed: the lines of kind {kind} are not those that were given")
        found.append(torch.tensor([line["embedding"] for line in own]))
    return found[0], found[1]


@torch.no_grad()
def by_pytorch(
    clip: ClipModel, tokenizer: ClipTokenizer, captions: list[str], pictures: np.ndarray
) -> tuple[Tensor, Tensor]:
    ids = torch.tensor([tokenizer.clip_ids(caption) for caption in captions])
    texts = torch.cat([clip.text_embedding(part) for part in ids.split(AT_ONCE)])
    images = torch.cat(
        [clip.image_embedding(image_pool.pixels(part)) for part in torch.from_numpy(pictures).split(AT_ONCE)]
    )
    return F.normalize(texts, dim=-1), F.normalize(images, dim=-1)


def recall(scores: Tensor, first: int = 1) -> float:
    """The share of rows whose own column, the one on the diagonal, is among the `first` best."""
    own = scores.diagonal()[:, None]
    # A tie does not count: embeddings that are all equal find nothing.
    better = (scores >= own).sum(1) - 1
    return float((better < first).float().mean())


def main() -> None:
    parser = arguments.parser("oracles.embeddings", __doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument(
        "--work", type=Path, default=paths.REPOSITORY / "out" / "check-clip", help="where the frames are written"
    )
    parser.add_argument("--count", type=int, default=1000, help="frames")
    parser.add_argument("--longtake", type=Path, default=paths.LONGTAKE)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=paths.REPORT)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = args.model.resolve()
    captions, pictures = draw(args.count)
    files = write(args.work.resolve(), captions, pictures)
    texts, images = by_program(args.longtake.resolve(), model, *files, args.threads)
    clip = checkpoint.load(model)[1]
    tokenizer = ClipTokenizer.from_folder(model / checkpoint.TOWER)
    own_texts, own_images = by_pytorch(clip, tokenizer, captions, pictures)

    scores, own_scores = texts @ images.T, own_texts @ own_images.T
    off = {"text": float((texts - own_texts).abs().max()), "image": float((images - own_images).abs().max())}
    found = {"text_to_frame": recall(scores), "frame_to_text": recall(scores.T)}
    result = {
        # The comparisons are also false for NaN.
        "passed": found["text_to_frame"] >= RECALL and all(value <= LIMIT for value in off.values()),
        "model": model.name,
        "fingerprint": asking.fingerprint(model),
        "frames": len(captions),
        "size": texts.shape[1],
        "recall_at_1": found,
        "recall_at_5": {"text_to_frame": recall(scores, 5), "frame_to_text": recall(scores.T, 5)},
        "recall_at_1_pytorch": {"text_to_frame": recall(own_scores), "frame_to_text": recall(own_scores.T)},
        "recall_wanted": RECALL,
        "off": off,
        "limit": LIMIT,
        "longest_caption_tokens": max(len(tokenizer.encode(caption)) + 2 for caption in captions),
        "context": tokenizer.context,
        "missed": [
            {"caption": captions[i], "found": captions[int(scores[i].argmax())]}
            for i in range(len(captions))
            if int(scores[i].argmax()) != i
        ],
    }
    recordings.save_json(args.out / "check-clip.json", result)
    print(f"{len(captions)} frames of different captions, embeddings of {texts.shape[1]} numbers")
    for name in ("recall_at_1", "recall_at_5", "recall_at_1_pytorch"):
        print(f"{name:20} " + "  ".join(f"{way} {share:.3f}" for way, share in result[name].items()))
    print(
        f"{'worst deviation':20} "
        + "  ".join(f"{kind} {value:.2e}" for kind, value in off.items())
        + f"  limit {LIMIT:g}"
    )
    print("pass" if result["passed"] else "FAIL")
    sys.exit(0 if result["passed"] else 1)


if __name__ == "__main__":
    main()
