"""Counts right answers."""

from __future__ import annotations

import collections

import numpy as np

from longtake_training.world import questions
from longtake_training.world.questions import Question


def scored(lines: list[dict]) -> dict:
    """Right and asked answers per kind, the score of always giving the commonest answer, and every wrong answer."""
    kinds: dict[str, dict] = {}
    wrong = []
    for kind in questions.KINDS:
        answers = [(line, a) for line in lines for a in line["answers"] if a["kind"] == kind]
        if not answers:
            continue
        right = 0
        for line, a in answers:
            if questions.is_right(Question.of(a), a["given"]):
                right += 1
            else:
                wrong.append(
                    {
                        "recording": line["name"],
                        "kind": kind,
                        "question": a["text"],
                        "right": a["answer"],
                        "given": a["given"],
                    }
                )
        wanted = collections.Counter(questions.normalized(a["answer"]) for _, a in answers)
        kinds[kind] = {"right": right, "asked": len(answers), "commonest": max(wanted.values())}
    overall = {name: sum(k[name] for k in kinds.values()) for name in ("right", "asked", "commonest")}
    return {"recordings": len(lines), "overall": overall, "kinds": kinds, "wrong": wrong, "times": times(lines)}


def times(lines: list[dict]) -> dict:
    """Medians: the program's seconds per recording, frames indexed per second, seconds to a question's first token."""
    if not lines:
        return {}
    first = [a["seconds"]["first_token"] for line in lines for a in line["answers"]]
    return {
        "recording": round(float(np.median([line["seconds"] for line in lines])), 2),
        "frames_per_second": round(
            float(np.median([line["frames"] / max(line["index_seconds"], 1e-3) for line in lines])), 1
        ),
        "first_token": round(float(np.median(first)), 4),
    }
