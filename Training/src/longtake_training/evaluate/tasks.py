"""The recordings of the test split that the program is asked about, with their questions."""

from __future__ import annotations

import argparse
import json

from longtake_training.evaluate.asking import Task
from longtake_training.evaluate.scenes import depth_of, in_parallel, scene_at, test_seeds, write_long, write_short
from longtake_training.world import questions, recordings
from longtake_training.world.questions import Question
from longtake_training.world.recordings import DEPTHS

SHORT, LENGTH = 1_000_000, 2_000_000
"""First seeds."""


def short_tasks(args: argparse.Namespace, count: int, limit: int) -> list[Task]:
    """Recordings of 10 to 60 s in random formats, and at most `limit` questions about each."""
    jobs = [(args.work / "short", seed, 10.0, 60.0) for seed in test_seeds(SHORT, count)]
    tasks = []
    for beside in in_parallel(write_short, jobs, args.processes):
        value = json.loads(beside.read_text())
        asked = questions.choose([Question.of(q) for q in value["questions"]], limit)
        tasks.append(Task(beside.stem, (beside.parent / value["file"]).resolve(), asked))
    return tasks


def length_tasks(args: argparse.Namespace, seconds: int, count: int, limit: int) -> list[Task]:
    """Recordings of `seconds` in which everything happens within a minute, at all depths."""
    jobs, strata = [], []
    for place, seed in enumerate(test_seeds(LENGTH, count)):
        recording = scene_at(seed, seconds, depth_of(seed, place % DEPTHS))
        jobs.append(((args.work / "length" / f"test-{seed}-{seconds}.mp4"), recording))
        strata.append(place % DEPTHS)
    files = in_parallel(write_long, jobs, args.processes)
    return [
        Task(
            path.stem,
            path.resolve(),
            questions.choose(recordings.asked(recording), limit),
            tags={"length": seconds, "depth": depth},
        )
        for path, (_, recording), depth in zip(files, jobs, strata, strict=True)
    ]
