"""Writes docs/evaluation.md and its images from the results in Training/report: `evaluate report`."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np

from longtake_training.world import questions
from longtake_training.world.recordings import DEPTHS, SCENE

CLAIM_KINDS = ["what", "colour", "after", "count", "describe"]


def share(part: dict, name: str = "right") -> str:
    return f"{100 * part[name] / part['asked']:.1f} %" if part and part["asked"] else "–"


def interval(part: dict) -> str:
    """Wilson score interval at 95 %."""
    n, p, z = part["asked"], part["right"] / part["asked"], 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return f"{100 * max(0, middle - half):.1f}–{100 * min(1, middle + half):.1f}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]


def kinds_of(parts: list[dict]) -> list[str]:
    return [kind for kind in questions.KINDS if any(kind in part["kinds"] for part in parts)]


def span(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 3600 else f"{seconds / 3600:g} h"


def made_by(value: dict, commands: list[str]) -> list[str]:
    noise = ["Random weights: these answers are noise.", ""] if value["random"] else []
    return [
        "```",
        *commands,
        "```",
        "",
        f"Model `{value['model']}` (fingerprint `{value['weights']}`), longtake {value['longtake']}, "
        f"{value['machine']}, {value['date']}.",
        "",
        *noise,
    ]


def failures(failed: list[str]) -> list[str]:
    return [f"Failed and not counted: {len(failed)} recordings ({', '.join(failed)}).", ""] if failed else []


def short_part(value: dict) -> list[str]:
    rows = [
        [
            f"**{name}**" if name == "all" else name,
            str(part["asked"]),
            str(part["right"]),
            share(part),
            interval(part),
            share(part, "commonest"),
        ]
        for name, part in [*value["kinds"].items(), ("all", value["overall"])]
    ]
    return [
        "## Short recordings",
        "",
        f"Recordings of 10 to 60 s ({value['recordings']}) in random formats: H.264, HEVC and VP9, 4 to 30 frames per "
        "second, high and low quality, with noise and camera shake.",
        "",
        *made_by(value, [value["command"]]),
        *failures(value["failed"]),
        *table(["kind", "asked", "right", "share", "95 %", "most common answer"], rows),
    ]


def length_part(value: dict, folder: Path) -> list[str]:
    parts = value["lengths"]
    if not parts:
        return []
    needle(parts, folder / "evaluation" / "length.png")
    names = [span(int(seconds)) for seconds in parts]
    rows = [[kind, *(share(p["kinds"].get(kind)) for p in parts.values())] for kind in kinds_of(list(parts.values()))]
    rows.append(["**all**", *(f"**{share(p['overall'])}**" for p in parts.values())])
    rows.append(["95 %", *(interval(p["overall"]) for p in parts.values())])
    sampled = value.get("sampled fusion", {})
    if sampled:
        rows.append(
            [
                "**all, fused with 64 frames**",
                *(f"**{share(sampled[seconds]['overall'])}**" if seconds in sampled else "–" for seconds in parts),
            ]
        )
    rows.append(["most common answer", *(share(p["overall"], "commonest") for p in parts.values())])
    rows.append(["right of asked", *(f"{p['overall']['right']} of {p['overall']['asked']}" for p in parts.values())])
    rows.append(["recordings", *(str(p["recordings"]) for p in parts.values())])
    return [
        "## Length",
        "",
        f"All events happen within {SCENE} seconds, at a random depth of the recording; during the rest of it nothing "
        "appears, moves, changes or disappears. The same scenes are used for every length, with the same questions; "
        "only “when” and “between” depend on the length. The time of a question grows at least in proportion to the "
        "length, so there are fewer long recordings, and only the first questions are asked about them. 320 × 240, "
        "2 frames per second, without noise.",
        "",
        "The question is fused with every frame (`fusion: exact`)"
        + (
            ", except in the row that says otherwise: there it is fused with a sample of 64, the program's default."
            if value.get("sampled fusion")
            else "."
        ),
        "",
        *made_by(value, [p["command"] for p in [*parts.values(), *value.get("sampled fusion", {}).values()]]),
        *failures([f for p in parts.values() for f in p["failed"]]),
        *table(["kind", *names], rows),
        "![share of right answers by length and depth](evaluation/length.png)",
        "",
        *limits(parts),
        "Each cell has the questions about a fifth of the recordings; a depth of 0 % is the beginning. At 60 s the "
        "scene is the whole recording.",
        "",
        "The same values as a table:",
        "",
        *table(
            ["depth", *names],
            [[f"{20 * d}–{20 * d + 20} %", *(share(p["depths"][d]) for p in parts.values())] for d in range(DEPTHS)],
        ),
    ]


def limits(parts: dict) -> list[str]:
    longest = max(parts, key=int)
    wrong = [
        f"{kind} ({k['asked'] - k['right']} of {k['asked']})"
        for kind, k in parts[longest]["kinds"].items()
        if k["right"] < k["asked"]
    ]
    return [
        f"Wrong at {span(int(longest))}: {', '.join(wrong) or 'nothing'}. The limit is attending "
        "to several events at once: a question about one event is as reliable in a day as in a minute, while counting, "
        "order, and changes between two times require several events among many frames without any, and positions "
        "beyond those of training.",
        "",
    ]


def needle(parts: dict, file: Path) -> None:
    """Writes an image of the share of right answers by length and depth."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    values = np.array(
        [
            [
                100 * p["depths"][d]["right"] / p["depths"][d]["asked"] if p["depths"][d]["asked"] else np.nan
                for p in parts.values()
            ]
            for d in range(DEPTHS)
        ]
    )
    figure, axes = plt.subplots(figsize=(1.6 + 0.95 * len(parts), 3.2), dpi=130)
    image = axes.imshow(np.ma.masked_invalid(values), vmin=0, vmax=100, cmap="RdYlGn", aspect="auto")
    for d in range(DEPTHS):
        for i in range(len(parts)):
            if not np.isnan(values[d, i]):
                axes.text(i, d, f"{values[d, i]:.0f}", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(parts)), [span(int(seconds)) for seconds in parts])
    axes.set_yticks(range(DEPTHS), [f"{20 * d}–{20 * d + 20} %" for d in range(DEPTHS)])
    axes.set_xlabel("length of the recording")
    axes.set_ylabel("depth of the scene")
    figure.colorbar(image, label="right, %")
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Software": None})
    plt.close(figure)


def sampled_part(value: dict) -> list[str]:
    parts = value["settings"]
    rows = [[kind, *(share(p["kinds"].get(kind)) for p in parts.values())] for kind in kinds_of(list(parts.values()))]
    rows.append(["**all**", *(f"**{share(p['overall'])}**" for p in parts.values())])
    rows.append(["95 %", *(interval(p["overall"]) for p in parts.values())])
    rows.append(["right of asked", *(f"{p['overall']['right']} of {p['overall']['asked']}" for p in parts.values())])
    rows.append(["pipeline's `fps`", *(p["fps"] for p in parts.values())])
    count = next(iter(parts.values()))["recordings"]
    return [
        "## A few frames, or one per second",
        "",
        f"Recordings of 10 minutes ({count}); the same questions are asked with 8 and with 16 frames, evenly spaced "
        "from the beginning, and with one frame per second. The model is the same; it was trained with one frame per "
        "second.",
        "",
        *made_by(value, [value["command"]]),
        *failures([f for p in parts.values() for f in p["failed"]]),
        *table(["kind", *parts], rows),
    ]


def precision_part(value: dict) -> list[str]:
    parts = value["precisions"]
    exact = parts["f32"]["overall"]
    rows = []
    for name, part in parts.items():
        tokens = part.get("vision tokens")
        points = 100 * (part["overall"]["right"] - exact["right"]) / exact["asked"]
        rows.append(
            [
                name,
                *(f"{group['right']} of {group['asked']}" for group in part["groups"].values()),
                f"**{share(part['overall'])}**",
                "–" if name == "f32" else f"{points:+.2f}",
                "–" if name == "f32" else str(part["changed"]),
                f"{tokens['lowest cosine']:.5f}" if tokens else "–",
                f"{tokens['divergence']:.2g}" if tokens else "–",
            ]
        )
    compared = next(part["vision tokens"] for part in parts.values() if "vision tokens" in part)
    head = ["precision", "10–60 s", "10 min", "3 h", "right", "points", "changed", "lowest cosine", "divergence"]
    return [
        "## Precisions",
        "",
        f"The same {exact['asked']:,} questions about {parts['f32']['recordings']} recordings, computed in each "
        "precision. “Points” and “changed”: right answers in percent, and answers with another text, compared with "
        f"f32. “Lowest cosine”: of a vision token with the same one in f32, {compared['count']:,} tokens of "
        f"{compared['recordings']} of the recordings. “Divergence”: the largest Kullback–Leibler divergence from f32 "
        "of an answer's first token, in nats (`longtake model check`). The last row is a folder that `model quantize "
        "--language int4` wrote: what a frame passes through is int8, the language model int4.",
        "",
        *made_by(value, [value["command"]]),
        *failures([f for part in parts.values() for f in part["failed"]]),
        *table(head, rows),
    ]


def claims_part(ablation: dict, sampled: dict) -> list[str]:
    def cell(part: dict, name: str) -> str:
        return f"{100 * part[name]:.1f} %" if name in part else "–"

    rows = [
        [
            part["variant"],
            "ablated",
            "10–60 s",
            cell(part, "read: things"),
            f"**{cell(part, 'all')}**",
            *(cell(part, kind) for kind in CLAIM_KINDS),
        ]
        for part in ablation.values()
    ]
    for name, part in sampled["settings"].items():
        rows.append(
            [
                name,
                "bundled",
                "10 min",
                "–",
                f"**{share(part['overall'])}**",
                *(share(part["kinds"].get(kind)) for kind in CLAIM_KINDS),
            ]
        )
    first = next(iter(ablation.values()))
    made = sorted({f"weights `{part['weights']}`, {part['date']}" for part in ablation.values() if "weights" in part})
    return [
        "## The paper's claims in miniature",
        "",
        "Ablated: the variant's compressor, projector and pre-fusion layers are trained from scratch "
        f"({first['fusion steps']} steps on the images), then its language model, initialized from the bundled one, is "
        f"fine-tuned ({first['language steps']} steps). That is far less training than the bundled model had, so these "
        "rows are comparable only with each other. They were asked in PyTorch about held-out recordings of the "
        "training split, with a run of similar frames as one row. “Read”: the objects that linear probes find in a "
        "frame's tokens. Rows with several tokens score lower not because the tokens contain less, but because a "
        "language model trained on single tokens does not learn to combine several in this few steps. Bundled: the "
        "bundled model without changes, asked with the program about recordings of the test split with fewer frames.",
        "",
        "```",
        "python -m longtake_training.train.ablation --model MODEL --work WORK",
        sampled["command"],
        "```",
        "",
        *([f"Ablated from: {'; '.join(made)}.", ""] if made else []),
        *table(["variant", "model", "recordings", "read", "**right**", *CLAIM_KINDS], rows),
    ]


def model_part(value: dict) -> list[str]:
    equal = value["parity_equal"]
    return [
        "## The program and PyTorch",
        "",
        f"{value['recordings']} encoded recordings of the test split, {value['frames']} frames, {value['questions']} "
        f"questions: the program's logits of the first token (f32) differ from PyTorch's by at most "
        f"{value['logits_off']:.1e} (limit {value['logits_limit']:g}, largest logit {value['largest_logit']:.1f}); "
        f"equal to PyTorch's: preprocessed images {equal['pictures']}, prompts {equal['prompt']}, greedy IDs "
        f"{equal['ids']}, answers by "
        f"`longtake ask` {value['ask_equal']}, by one `longtake ask` with two questions {value['ask_together_equal']}, "
        f"of {value['questions']} each.",
        "",
        "```",
        "python -m longtake_training.oracles.answers --model MODEL --work WORK",
        "```",
        "",
    ]


def clip_part(value: dict) -> list[str]:
    one, five, off = value["recall_at_1"], value["recall_at_5"], value["off"]
    return [
        "## Text finds frames",
        "",
        f"{value['frames']:,} frames with different captions, generated for this test: a caption finds its own frame "
        f"first {100 * one['text_to_frame']:.1f} % of the time (among the first five: "
        f"{100 * five['text_to_frame']:.1f} %), a frame its caption {100 * one['frame_to_text']:.1f} %. Embeddings by "
        f"`longtake model embed` (f32) differ from PyTorch's by at most {max(off.values()):.1e}.",
        "",
        "```",
        "python -m longtake_training.oracles.embeddings --model MODEL",
        "```",
        "",
    ]


RULE = """# Evaluation

Written by `python -m longtake_training.evaluate report --out docs` from the files in `Training/report`. The command
that measured a value is given above it; `MODEL` is the model's folder, `WORK` a folder for the recordings and the
answers. The commands run in the project's folder with `PYTHONPATH=Training/src` and the packages of
`Training/requirements.txt`.

The recordings show a generated desk (`world/scene.py` in `Training/src/longtake_training`): objects of six shapes and
six colors appear, move, change color and disappear, a board shows a word or a number, and a window shows day or night.
These results say nothing about other recordings. Each recording is generated from a seed; every tenth seed is reserved
for tests and refused in training.

An answer is right if it has the same words as the true answer in the same order, ignoring case, punctuation and the
articles a, an, the (`is_right` in `world/questions.py`). Partial answers and synonyms do not count. Only questions with
one right answer are asked. Every wrong answer is kept in the JSON files.

“95 %” is Wilson's interval; questions about one recording are not independent, so the true interval is wider. “Most
common answer” is the share of right answers of a baseline that always gives the most common right answer of each kind,
without the recording.
"""


def report(args: argparse.Namespace) -> None:
    text = RULE.splitlines() + [""]
    parts = {
        "short": short_part,
        "length": lambda value: length_part(value, args.out),
        "sampled": sampled_part,
        "precision": precision_part,
        "check-model": model_part,
        "check-clip": clip_part,
    }
    known = {file.stem: json.loads(file.read_text()) for file in args.report.glob("*.json")}
    for name, part in parts.items():
        if name in known:
            text += part(known[name])
    if {"ablation", "sampled"} <= known.keys():
        text += claims_part(known["ablation"], known["sampled"])
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "evaluation.md").write_text("\n".join(text).rstrip() + "\n")
    print(args.out / "evaluation.md")
