"""The generated world: the same seed gives the same recording, and answers are true of what the frames show."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from longtake_training.world import scene
from longtake_training.world.questions import KINDS, Question, is_right, questions
from longtake_training.world.scene import COLOURS, RGB, SHAPES, ZONES, Recording, Seen, State

SEEDS = range(10, 410, 10)
STEP = 0.05
"""Seconds between two observations: half of the shortest time between one thing and the next."""
LONG = 9.5
"""Seconds between a short and a long stay; a stay of 6 to 13 s is not asked about."""
UNCHECKED = {"what", "when", "between", "describe"}
"""Kinds that `expected` leaves out."""


def recording(seed: int) -> Recording:
    return scene.random_recording(seed, "test", longest=60)


@dataclasses.dataclass
class Track:
    """A thing as an observer follows it from frame to frame."""

    states: list[Seen]
    start: float
    end: float

    @property
    def first(self) -> Seen:
        return self.states[0]

    def names(self) -> list[str]:
        """Its names in order: more than one if it changes its color."""
        return list(dict.fromkeys(f"{s.colour} {s.shape}" for s in self.states))

    def zones(self) -> list[int]:
        """The zones in which it rests."""
        resting = [b for a, b in zip(self.states, self.states[1:], strict=False) if a.x == b.x]
        return list(dict.fromkeys(int(s.x // 28) for s in resting))


def observed(recording: Recording) -> list[Track]:
    """What happens, from `state_at` alone: the events of the recording are not read."""
    tracks: list[Track] = []
    for time in np.arange(0, recording.duration, STEP):
        for seen in recording.state_at(float(time)).things:
            same = [
                t
                for t in tracks
                if t.end > time - 1.5 * STEP and t.first.shape == seen.shape and abs(t.states[-1].x - seen.x) < 10
            ]
            if same:
                same[-1].states.append(seen)
                same[-1].end = float(time)
            else:
                tracks.append(Track([seen], float(time), float(time)))
    return tracks


def expected(question: Question, recording: Recording, tracks: list[Track]) -> str | None:
    """The answer by observation; None for the kinds that are not checked here."""
    shape, colour = question.about
    named = [t for t in tracks if (not shape or t.first.shape == shape) and (not colour or colour in t.names()[0])]
    place = tracks.index(named[0]) if named else -1
    states = [recording.state_at(float(t)) for t in np.arange(0, recording.duration, STEP)]
    match question.kind:
        case "colour":
            return named[0].first.colour if named else f"there is no {shape}"
        case "shape":
            return f"a {named[0].first.shape}" if named else f"there is no {colour} thing"
        case "where":
            return ZONES[named[0].zones()[0]] if named else f"there is no {colour} {shape}"
        case "presence":
            return "yes" if named else "no"
        case "count":
            return ["zero", "one", "two", "three", "four"][len(tracks)]
        case "first" | "last":
            chosen = tracks[0 if question.kind == "first" else -1 :][:1]
            return f"a {chosen[0].names()[0]}" if chosen else "nothing"
        case "after":
            return f"a {tracks[place + 1].names()[0]}" if place + 1 < len(tracks) else "nothing"
        case "before":
            return f"a {tracks[place - 1].names()[0]}" if place > 0 else "nothing"
        case "sign":
            return next((s.board for s in states if s.board), "nothing")
        case "light":
            lights = ["day" if v else "night" for v in dict.fromkeys(s.light for s in states) if v in (0, 1)]
            return lights[0] if len(lights) == 1 else f"first {lights[0]}, then {lights[1]}"
        case "move":
            zones = named[0].zones()
            if len(zones) == 1:
                return "it does not move"
            return "to the right" if zones[1] > zones[0] else "to the left"
        case "change":
            names = named[0].names()
            return names[1].split()[0] if len(names) > 1 else "it does not change"
        case "how long":
            return "a short time" if named[0].end - named[0].start < LONG else "a long time"
    return None


def test_a_seed_gives_the_same_recording_and_the_same_images() -> None:
    for seed in SEEDS[:5]:
        first, second = recording(seed), recording(seed)
        assert first == second
        images = [
            scene.render(r.state_at(5.0), r.look, np.random.default_rng(3), 160, 120, (0.5, -0.5))
            for r in (first, second)
        ]
        assert images[0].shape == (120, 160, 3)
        assert np.array_equal(*images)
    assert recording(10) != recording(20)


def test_a_seed_of_the_other_split_is_refused() -> None:
    assert [scene.split_of(seed) for seed in (10, 11)] == ["test", "train"]
    with pytest.raises(ValueError, match="seed 10 belongs to the test split"):
        scene.random_recording(10, "train")
    with pytest.raises(ValueError, match="seed 11 belongs to the train split"):
        scene.random_recording(11, "test")


def test_answers_are_true_of_what_is_seen() -> None:
    checked = dict.fromkeys(KINDS, 0)
    for seed in SEEDS:
        r = recording(seed)
        tracks = observed(r)
        for question in questions(r, np.random.default_rng(seed)):
            wanted = expected(question, r, tracks)
            if wanted is not None:
                checked[question.kind] += 1
                assert is_right(question, wanted), f"seed {seed}: {question.text} {question.answer}, observed: {wanted}"
    few = {kind: count for kind, count in checked.items() if kind not in UNCHECKED and count < 5}
    assert not few


def test_a_wrong_answer_is_noticed() -> None:
    r = recording(next(seed for seed in SEEDS if recording(seed).board))
    question = next(q for q in questions(r, np.random.default_rng(1)) if q.kind == "sign")
    wrong = dataclasses.replace(question, answer="SHOP")
    assert not is_right(wrong, expected(wrong, r, observed(r)) or "")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_shows_the_color_and_the_zone_of_a_thing(shape: str, colour: str) -> None:
    look = scene.Look(noise=0)
    for zone in range(3):
        thing = Seen(shape, colour, 14 + 28 * zone, 54, 10, 0)
        empty, full = (scene.render(State(things, "", 1), look).astype(int) for things in ([], [thing]))
        changed = np.abs(full - empty).sum(-1) > 30
        columns = np.flatnonzero(changed.any(0))
        assert 28 * zone <= columns.min() and columns.max() < 28 * (zone + 1) + 3, "the shadow may leave the zone"
        pixels = full[changed]
        distance = {name: np.abs(pixels - np.array(rgb)).sum(-1) for name, rgb in RGB.items()}
        nearest = np.array(list(distance))[np.argmin(list(distance.values()), axis=0)]
        names, counts = np.unique(nearest[np.min(list(distance.values()), axis=0) < 90], return_counts=True)
        assert names[counts.argmax()] == colour


def test_an_image_shows_the_board_and_the_light() -> None:
    look = scene.Look(noise=0)
    texts = [scene.render(State([], text, 1), look)[:18, :52] for text in ("", "OPEN", "42")]
    assert len({image.tobytes() for image in texts}) == 3
    day, night = (scene.render(State([], "", light), look) for light in (1, 0))
    assert day.mean() > 1.5 * night.mean()
