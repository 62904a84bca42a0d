"""Compares the program's answers about recordings of the test split with PyTorch's: f32, from video file to last token.

    python -m longtake_training.oracles.answers --model Models/nano --work out/check-model [--count 50]

For each recording, `longtake frames` writes the preprocessed frames, and PyTorch answers two questions from them. Then
`longtake model parity` computes the same from the frames, and `longtake ask` from the video file. The result is written
as JSON to Training/report (`--out` names another folder). Exit status 1: a logit differs by more than 1e-3, or an
answer differs.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from longtake_training import arguments, paths
from longtake_training.evaluate import asking, scenes
from longtake_training.model import checkpoint
from longtake_training.model.clip import VisionTower
from longtake_training.model.llava_mini import LlavaMini
from longtake_training.model.tokenizer import Tokenizer
from longtake_training.world import image_pool, questions, recordings
from longtake_training.world.questions import Question

FIRST_SEED = 2_000_000
SHORTEST, LONGEST = 10, 60
LIMIT = 1e-3
MAX_TOKENS = 96
TWICE = 2
"""Copies of each frame in a case's video, and its frames per second: see `sampled`."""


@dataclass
class Asked:
    """A question, PyTorch's answer, and the program's answers."""

    question: Question
    prompt: list[int]
    ids: list[int]
    logits: Tensor
    text: str
    margin: float
    parity: dict = field(default_factory=dict)
    alone: dict = field(default_factory=dict)
    together: dict = field(default_factory=dict)

    def same(self, answer: dict) -> bool:
        return answer["answer"] == self.text and answer["token_ids"] == self.ids

    def agrees(self) -> bool:
        return all(self.parity["equal"].values()) and self.same(self.alone) and self.same(self.together)


@dataclass
class Watched:
    """A recording, its file, and its preprocessed frames [T, S, S, 3]."""

    seed: int
    file: Path
    format: recordings.Format
    seconds: float
    pictures: Tensor
    asked: list[Asked]

    @property
    def name(self) -> str:
        return f"r{self.seed}"

    def flow(self, place: int) -> str:
        return f"{self.name}.q{place}"


class Program:
    """Runs the program with these settings only."""

    def __init__(self, path: Path, model: Path, threads: int) -> None:
        self.path, self.model = path, model
        self.compute = ["--precision", "f32", "--threads", str(threads)]
        self.environment = {
            k: v for k, v in os.environ.items() if not k.startswith("LONGTAKE_") or k == "LONGTAKE_NO_SECCOMP"
        }

    def run(self, *arguments: str, good: tuple[int, ...] = (0,), **environment: str) -> str:
        command = [str(self.path), *arguments, "--no-progress"]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment | environment)
        if done.returncode not in good:
            raise RuntimeError(
                f"longtake {' '.join(arguments[:2])}: exit status {done.returncode}: {done.stderr.strip()[-400:]}"
            )
        return done.stdout

    def pictures(self, file: Path, folder: Path) -> Tensor:
        said = self.run("frames", str(file), "--out", str(folder), "--overwrite", "--model", str(self.model), "--json")
        names = [frame["file"] for frame in json.loads(said)["frames"]]
        return torch.from_numpy(np.stack([np.asarray(Image.open(folder / name).convert("RGB")) for name in names]))

    def ask(self, file: Path, texts: list[str], folders: list[str]) -> list[dict]:
        """Asks about an indexed file; several questions in one call."""
        said = self.run(
            "ask",
            str(file),
            *texts,
            "--fusion",
            "exact",
            "--max-tokens",
            str(MAX_TOKENS),
            "--json",
            "--model",
            str(self.model),
            *self.compute,
            *folders,
            LONGTAKE_RECORD="f32",
        )
        answers = [json.loads(said)] if len(texts) == 1 else [json.loads(line) for line in said.splitlines()]
        # The record kind is part of an index's key: without the f32 index, a new one would have been built.
        if any("seconds_per_frame" in answer["timings"] for answer in answers):
            raise RuntimeError(f"{file.name}: asked of another index than the one with records in f32")
        return answers

    def parity(self, case: Path) -> dict:
        # 1: a value is outside the program's own tolerance, which is narrower than the limit here.
        said = json.loads(self.run("model", "parity", str(case), "--json", *self.compute, good=(0, 1)))
        return said[0] if isinstance(said, list) else said


# PyTorch's side


def two(asked: list[Question], used: collections.Counter) -> list[Question]:
    """Two questions of different kinds, the least asked kinds first."""
    chosen: list[Question] = []
    for _ in range(2):
        rest = [q for q in asked if q.kind not in [c.kind for c in chosen]]
        chosen.append(min(rest, key=lambda q: used[q.kind]))
        used[chosen[-1].kind] += 1
    return chosen


def answered(question: Question, pictures: Tensor, llava: LlavaMini, tower: VisionTower, tokenizer: Tokenizer) -> Asked:
    prompt = tokenizer.prompt_ids(question.text)
    ids, logits = llava.answer(image_pool.pixels(pictures), tower, prompt, tokenizer.stop_ids, MAX_TOKENS)
    best = logits.topk(2).values
    return Asked(question, prompt, ids, logits, tokenizer.decode(ids), float(best[0] - best[1]))


# The case


def sampled(count: int, rate: int) -> list[int]:
    """Frames that the reference samples from a video: the middle of each of as many equal intervals as it has seconds.

    Of T frames at one per second it takes one twice and never the last one. With every frame twice, at two per second,
    it takes all T.
    """
    stretches = count // rate
    edges = [round((count - 1) / stretches * i) for i in range(stretches + 1)]
    return [a + (b - a) // 2 for a, b in pairwise(edges)]


def write_case(folder: Path, model: Path, watched: list[Watched]) -> None:
    """A parity case with a flow per recording and question."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    beside = os.path.relpath(model, folder)
    flows: dict[str, dict] = {}
    inputs: dict[str, Tensor] = {}
    expected: dict[str, Tensor] = {}
    for one in watched:
        raw = one.pictures.repeat_interleave(TWICE, dim=0)
        if not torch.equal(raw[sampled(len(raw), TWICE)], one.pictures):
            raise ValueError(f"{one.name}: the case's sampling does not take every picture once")
        inputs[f"{one.name}.frames"] = raw
        for place, asked in enumerate(one.asked):
            name = one.flow(place)
            flows[name] = {
                "model": beside,
                "tokenizer": beside,
                "conv_mode": "llava_llama_3_1",
                "kind": "video",
                "question": asked.question.text,
                "source": f"{one.name}.frames",
                "expected_text": asked.text,
            }
            inputs[f"{name}.input_ids"] = torch.tensor([asked.prompt])
            expected[f"{name}.images_uint8_hwc"] = one.pictures.clone()
            expected[f"{name}.logits_last"] = asked.logits[None].clone()
            expected[f"{name}.greedy_ids"] = torch.tensor(asked.ids)
    recordings.save_json(folder / "case.json", {"case": folder.name, "flows": flows, "video_fps": TWICE})
    save_file(inputs, folder / "inputs.safetensors")
    save_file(expected, folder / "expected.safetensors")


def read_parity(report: dict, watched: list[Watched]) -> None:
    """Sets each question's logit deviation, and whether images, prompt, IDs and text are equal."""
    tensors = {t["name"]: float(t["absolute"]) for t in report["tensors"]}
    lists = {g["name"]: g["equal"] for g in report["greedy"]}
    for one in watched:
        for place, asked in enumerate(one.asked):
            name = one.flow(place)
            asked.parity = {
                "logits": tensors[f"{name}.logits_last"],
                "equal": {
                    "pictures": tensors[f"{name}.images_uint8_hwc"] == 0,
                    "prompt": lists[f"{name}.input_ids"],
                    "ids": lists[f"{name}.greedy_ids"],
                    "text": lists[f"{name}.text"],
                },
            }


# The report


def deviation(one: Watched) -> float:
    return max(asked.parity["logits"] for asked in one.asked)


def line(one: Watched) -> dict:
    return {
        "seed": one.seed,
        "codec": one.format.codec,
        "width": one.format.width,
        "height": one.format.height,
        "fps": one.format.fps,
        "seconds": one.seconds,
        "frames": len(one.pictures),
        "questions": [
            {
                "kind": a.question.kind,
                "text": a.question.text,
                "right": a.question.answer,
                "pytorch": a.text,
                "asked": a.alone["answer"],
                "asked_together": a.together["answer"],
                "tokens": len(a.ids),
                "logit_margin": a.margin,
                "logits_off": finite(a.parity["logits"]),
                "parity_equal": a.parity["equal"],
                "ask_equal": a.same(a.alone),
                "ask_together_equal": a.same(a.together),
            }
            for a in one.asked
        ],
    }


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def summary(watched: list[Watched], args: argparse.Namespace) -> dict:
    every = [asked for one in watched for asked in one.asked]
    worst = max(map(deviation, watched))

    def equal(name: str) -> int:
        return sum(asked.parity["equal"][name] for asked in every)

    return {
        "passed": worst <= LIMIT and all(asked.agrees() for asked in every),
        "model": args.model.resolve().name,
        "fingerprint": asking.fingerprint(args.model),
        "recordings": len(watched),
        "seconds": sum(one.seconds for one in watched),
        "frames": sum(len(one.pictures) for one in watched),
        "codecs": collections.Counter(one.format.codec for one in watched),
        "questions": len(every),
        "kinds": collections.Counter(asked.question.kind for asked in every),
        "tokens": sum(len(asked.ids) for asked in every),
        "logits_off": finite(worst),
        "logits_limit": LIMIT,
        "largest_logit": max(float(a.logits.abs().max()) for a in every),
        "smallest_margin_of_first_token": min(a.margin for a in every),
        "parity_equal": {name: equal(name) for name in ("pictures", "prompt", "ids", "text")},
        "ask_equal": sum(a.same(a.alone) for a in every),
        "ask_together_equal": sum(a.same(a.together) for a in every),
        "right": sum(questions.is_right(a.question, a.text) for a in every),
        "of_recordings": [line(one) for one in watched],
    }


def show(result: dict, watched: list[Watched]) -> None:
    print("    seed codec       size   fps frames  kinds                   logits off  parity  ask  together")
    for one in watched:
        kinds = ", ".join(asked.question.kind for asked in one.asked)
        size = f"{one.format.width}x{one.format.height}"
        marks = [
            all(all(a.parity["equal"].values()) for a in one.asked),
            all(a.same(a.alone) for a in one.asked),
            all(a.same(a.together) for a in one.asked),
        ]
        parity, alone, together = ("same" if mark else "NOT" for mark in marks)
        print(
            f"{one.seed:8} {one.format.codec:5} {size:>10} {one.format.fps:5g} {len(one.pictures):6}  {kinds:22} "
            f"{deviation(one):11.2e}  {parity:>6} {alone:>4}  {together:>8}"
        )
    for one in watched:
        for asked in one.asked:
            if not asked.agrees():
                print(f"{one.seed} {asked.question.text} PyTorch: {asked.text!r} {asked.ids}")
                for how, found in (("ask", asked.alone), ("together", asked.together)):
                    print(f"    {how}: {found['answer']!r} {found['token_ids']}")
                print(f"    parity, equal: {asked.parity['equal']}")
    asked = result["questions"]
    parts = ", ".join(f"{name} {count}" for name, count in result["parity_equal"].items())
    print(
        f"{result['recordings']} recordings, {result['frames']} frames, {asked} questions, {result['right']} answers "
        "right"
    )
    print(
        f"logits: worst {max(map(deviation, watched)):.2e}, limit {LIMIT:g}, largest logit "
        f"{result['largest_logit']:.2f}"
    )
    print(
        f"equal of {asked}: parity {parts}; ask {result['ask_equal']}, both questions at once "
        f"{result['ask_together_equal']}"
    )
    print("pass" if result["passed"] else "FAIL")


def main() -> None:
    parser = arguments.parser("oracles.answers", __doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where recordings, pictures and the case are kept")
    parser.add_argument("--count", type=int, default=50, help="recordings")
    parser.add_argument("--longtake", type=Path, default=paths.LONGTAKE)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=paths.REPORT)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    work, model = args.work.resolve(), args.model.resolve()
    program = Program(args.longtake.resolve(), model, args.threads)
    llava, clip = checkpoint.load(model)
    tower, tokenizer = clip.tower(llava.fusion.select_layer).eval(), Tokenizer.from_folder(model)

    used: collections.Counter = collections.Counter()
    watched: list[Watched] = []
    for seed in scenes.test_seeds(FIRST_SEED, args.count):
        beside = recordings.make(work / "recordings", seed, "test", SHORTEST, LONGEST)
        recording, format = recordings.one(seed, "test", SHORTEST, LONGEST)
        file = beside.with_suffix(f".{format.container}")
        pictures = program.pictures(file, work / "pictures" / str(seed))
        one = Watched(seed, file, format, recording.duration, pictures, [])
        one.asked = [answered(q, pictures, llava, tower, tokenizer) for q in two(recordings.asked(recording), used)]
        # No cache of an earlier run.
        cache = work / "cache" / str(seed)
        shutil.rmtree(cache, ignore_errors=True)
        folders = ["--cache-dir", str(cache / "frames"), "--data-dir", str(cache / "data")]
        program.run("index", str(file), "--record", "f32", "--quiet", "--model", str(model), *program.compute, *folders)
        for asked in one.asked:
            asked.alone = program.ask(file, [asked.question.text], folders)[0]
        both = program.ask(file, [asked.question.text for asked in one.asked], folders)
        for asked, answer in zip(one.asked, both, strict=True):
            asked.together = answer
        shutil.rmtree(cache)
        watched.append(one)
        if len(watched) % 10 == 0:
            print(f"{len(watched)} of {args.count} asked", flush=True)

    write_case(work / "case", model, watched)
    read_parity(program.parity(work / "case"), watched)
    result = summary(watched, args)
    recordings.save_json(args.out / "check-model.json", result)
    show(result, watched)
    sys.exit(0 if result["passed"] else 1)


if __name__ == "__main__":
    main()
