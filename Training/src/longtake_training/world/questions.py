"""Questions about a recording, their true answers, and the rule that scores an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from longtake_training.world import scene
from longtake_training.world.scene import COLOURS, SHAPES, ZONES, Recording, Thing

COUNTS = ["zero", "one", "two", "three", "four"]

TEMPLATES: dict[str, list[str]] = {
    "what": ["What is {place}?", "What thing is {place}?", "What do you see {place}?", "What can be seen {place}?"],
    "colour": [
        "What colour is the {shape}?",
        "Which colour does the {shape} have?",
        "What is the colour of the {shape}?",
        "Tell me the colour of the {shape}.",
    ],
    "shape": [
        "What shape is the {colour} thing?",
        "Which shape does the {colour} thing have?",
        "What is the shape of the {colour} thing?",
        "What is the {colour} thing?",
    ],
    "where": [
        "Where is the {name}?",
        "Where on the desk is the {name}?",
        "Where does the {name} appear?",
        "In which place is the {name}?",
    ],
    "count": [
        "How many things appear?",
        "How many things are there in all?",
        "Count the things in the recording.",
        "How many different things come to the desk?",
    ],
    "presence": [
        "Is there a {name}?",
        "Does a {name} appear?",
        "Do you see a {name}?",
        "Is a {name} in the recording?",
    ],
    "first": [
        "What appears first?",
        "Which thing comes first?",
        "What is the first thing to appear?",
        "What comes to the desk first?",
    ],
    "last": [
        "What appears last?",
        "Which thing comes last?",
        "What is the last thing to appear?",
        "What comes to the desk last?",
    ],
    "after": [
        "What appears after the {name}?",
        "Which thing comes after the {name}?",
        "What comes next after the {name}?",
        "After the {name}, what appears?",
    ],
    "before": [
        "What appears before the {name}?",
        "Which thing comes before the {name}?",
        "What came just before the {name}?",
        "Before the {name}, what appears?",
    ],
    "when": [
        "When does the {name} appear?",
        "In which part of the recording does the {name} come?",
        "Does the {name} appear at the beginning, in the middle or at the end?",
        "When do we see the {name}?",
    ],
    "how long": [
        "How long does the {name} stay?",
        "For how long is the {name} there?",
        "Does the {name} stay a short or a long time?",
        "How long is the {name} on the desk?",
    ],
    "sign": [
        "What does the board say?",
        "What is written on the board?",
        "What can be read on the board?",
        "Read the board.",
    ],
    "light": [
        "Is it day or night?",
        "Is it day or night in the recording?",
        "What time of day is it?",
        "Is it light or dark outside?",
    ],
    "between": [
        "What appears between {from} and {to}?",
        "What comes between {from} and {to}?",
        "What happens between {from} and {to}?",
        "Which thing appears between {from} and {to}?",
    ],
    "move": [
        "Does the {name} move?",
        "Where does the {name} move?",
        "Which way does the {name} go?",
        "Does the {name} change its place?",
    ],
    "change": [
        "Which colour does the {name} become?",
        "Does the {name} change its colour?",
        "What colour does the {name} turn into?",
        "Does the {name} get another colour?",
    ],
    "describe": [
        "Describe the recording.",
        "Describe what happens.",
        "Tell me what happens in the recording.",
        "What happens in the recording?",
    ],
}
KINDS = list(TEMPLATES)


Stretch = tuple[float, float]
"""Seconds [from, to) of a recording."""


@dataclass
class Part:
    """A part of an answer, up to character `end`, and the intervals it can be read from.

    `found`: when the frames up to a second tell it; `shown`: when what it names is visible. An empty list: there is
    nothing to see; None: no particular time.
    """

    end: int
    found: list[Stretch] | None = None
    shown: list[Stretch] | None = None


@dataclass
class Question:
    kind: str
    text: str
    answer: str
    parts: list[Part] = field(default_factory=list)
    span: Stretch | None = None
    """The two times named in the question."""
    about: tuple[str, str] = ("", "")
    """Shape and color named in the question."""

    def plain(self) -> dict:
        """The JSON form. `seen`: intervals in which the answer is visible; null: no particular time."""
        shown = [part.shown for part in self.parts if part.shown is not None]
        seen = sorted({stretch for stretches in shown for stretch in stretches}) if shown else None
        return {"kind": self.kind, "text": self.text, "answer": self.answer, "seen": seen}

    @staticmethod
    def of(plain: dict) -> Question:
        return Question(plain["kind"], plain["text"], plain["answer"])


def clock(seconds: float) -> str:
    """0:05, 12:30 or 3:00:00."""
    total = int(seconds)
    hours, minutes, rest = total // 3600, total // 60 % 60, total % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def a(thing: Thing) -> str:
    return f"a {thing.name}"


Where = list[Stretch] | None


def named(slots: dict[str, str]) -> tuple[str, str]:
    colour, _, shape = (
        slots["name"].partition(" ") if "name" in slots else (slots.get("colour", ""), "", slots.get("shape", ""))
    )
    return shape, colour


def there(thing: Thing) -> list[Stretch]:
    return [(thing.start, thing.end)]


def newest(recording: Recording, thing: Thing) -> list[Stretch]:
    """While a thing is there and no other has come after it."""
    later = [t.start for t in recording.things if t.start > thing.start]
    return [(thing.start, min([thing.end, *later]))]


def questions(recording: Recording, rng: np.random.Generator, kinds: list[str] | None = None) -> list[Question]:
    """All questions of these kinds that have one right answer, with a random wording each, in random order."""
    made: list[Question] = []

    def ask(
        kind: str,
        answer: str,
        found: Where = None,
        shown: Where = None,
        parts: list[Part] | None = None,
        span: Stretch | None = None,
        **slots: str,
    ) -> None:
        wordings = TEMPLATES[kind]
        text = wordings[rng.integers(len(wordings))].format(**slots)
        made.append(
            Question(
                kind,
                text,
                answer,
                parts or [Part(len(answer), found, found if shown is None else shown)],
                span,
                named(slots),
            )
        )

    for kind in kinds or KINDS:
        ASKERS[kind](recording, rng, ask)
    return [made[i] for i in rng.permutation(len(made))]


def choose(questions: list[Question], limit: int) -> list[Question]:
    """At most `limit`, as many kinds as possible: the first of each kind before the second."""
    seen: dict[str, int] = {}
    ranked = []
    for place, question in enumerate(questions):
        rank = seen.get(question.kind, 0)
        seen[question.kind] = rank + 1
        ranked.append((rank, place, question))
    return [question for _, _, question in sorted(ranked, key=lambda item: item[:2])[:limit]]


def _absent_name(recording: Recording, rng) -> str:
    """A thing that never appears; mostly one that shares shape or colour with one that does."""
    names = {(c, t.shape) for t in recording.things for c in t.colours()}
    for _ in range(100):
        colour, shape = str(rng.choice(COLOURS)), str(rng.choice(SHAPES))
        if recording.things and rng.random() < 0.7:
            near = recording.things[rng.integers(len(recording.things))]
            if rng.random() < 0.5:
                shape = near.shape
            else:
                colour = near.colour
        if (colour, shape) not in names:
            break
    return f"{colour} {shape}"


def _what(r: Recording, rng, ask) -> None:
    for zone, place in enumerate(ZONES):
        here = [t for t in r.things if zone in t.zones()]
        if len(here) == 1 and here[0].change_to is None:
            ask("what", a(here[0]), there(here[0]), place=place)
        elif not here and rng.random() < 0.25:
            ask("what", "nothing", [], place=place)


def _colour(r: Recording, rng, ask) -> None:
    shapes = [t.shape for t in r.things]
    for t in r.things:
        if shapes.count(t.shape) == 1 and t.change_to is None:
            ask("colour", t.colour, there(t), shape=t.shape)
    if rng.random() < 0.2:
        absent = [s for s in SHAPES if s not in shapes]
        if absent:
            shape = str(rng.choice(absent))
            ask("colour", f"there is no {shape}", [], shape=shape)


def _shape(r: Recording, rng, ask) -> None:
    colours = [c for t in r.things for c in t.colours()]
    for t in r.things:
        if colours.count(t.colour) == 1:
            ask("shape", f"a {t.shape}", there(t), colour=t.colour)
    if rng.random() < 0.2:
        absent = [c for c in COLOURS if c not in colours]
        if absent:
            colour = str(rng.choice(absent))
            ask("shape", f"there is no {colour} thing", [], colour=colour)


def _where(r: Recording, rng, ask) -> None:
    for t in r.things:
        if t.move_to is None:
            ask("where", ZONES[t.zone], there(t), name=t.name)
    if rng.random() < 0.2:
        name = _absent_name(r, rng)
        ask("where", f"there is no {name}", [], name=name)


def _count(r: Recording, rng, ask) -> None:
    ask("count", COUNTS[len(r.things)], [(r.things[-1].start, r.duration)] if r.things else None)


def _presence(r: Recording, rng, ask) -> None:
    if r.things:
        thing = r.things[rng.integers(len(r.things))]
        ask("presence", "yes", there(thing), name=thing.name)
    if not r.things or rng.random() < 0.9:
        ask("presence", "no", [], name=_absent_name(r, rng))


def _first(r: Recording, rng, ask) -> None:
    ask("first", a(r.things[0]) if r.things else "nothing", newest(r, r.things[0]) if r.things else [])


def _last(r: Recording, rng, ask) -> None:
    ask("last", a(r.things[-1]) if r.things else "nothing", there(r.things[-1]) if r.things else [])


def _after(r: Recording, rng, ask) -> None:
    for t, following in zip(r.things, [*r.things[1:], None], strict=False):
        if following is not None or rng.random() < 0.4:
            ask(
                "after",
                a(following) if following else "nothing",
                newest(r, following) if following else [],
                there(following) if following else [],
                name=t.name,
            )


def _before(r: Recording, rng, ask) -> None:
    for t, earlier in zip(r.things, [None, *r.things], strict=False):
        if earlier is not None or rng.random() < 0.4:
            ask(
                "before",
                a(earlier) if earlier else "nothing",
                newest(r, t),
                there(earlier) if earlier else [],
                name=t.name,
            )


def _when(r: Recording, rng, ask) -> None:
    for t in r.things:
        # By the middle of its stay; not asked if it stays for more than 45 % or its middle is near a border.
        share, length = (t.start + t.end) / 2 / r.duration, (t.end - t.start) / r.duration
        if length > 0.45:
            continue
        for low, high, answer in [
            (0, 0.28, "at the beginning"),
            (0.39, 0.61, "in the middle"),
            (0.72, 1, "at the end"),
        ]:
            if low <= share <= high:
                ask("when", answer, there(t), name=t.name)


def _how_long(r: Recording, rng, ask) -> None:
    for t in r.things:
        if t.end - t.start <= 6:
            ask("how long", "a short time", there(t), name=t.name)
        elif t.end - t.start >= 13:
            ask("how long", "a long time", there(t), name=t.name)


def _sign(r: Recording, rng, ask) -> None:
    if r.board or rng.random() < 0.5:
        ask("sign", r.board or "nothing", [(r.board_from, min(r.board_to, r.duration))] if r.board else [])


def _light(r: Recording, rng, ask) -> None:
    names = ["night", "day"]
    if r.light_from == r.light_to:
        ask("light", names[r.light_from])
    else:
        ask("light", f"first {names[r.light_from]}, then {names[r.light_to]}")


def _between(r: Recording, rng, ask) -> None:
    if r.duration < 12:
        return
    step = 5 if r.duration <= 600 else 60 if r.duration <= 7200 else 600
    for _ in range(12):
        low = step * int(rng.integers(0, max(1, int(r.duration) // step - 1)))
        high = low + step * int(rng.integers(2 if step == 5 else 1, 4))
        if high > r.duration:
            continue
        margin = 1.5 if step == 5 else step / 6
        if any(abs(t.start - edge) < margin for t in r.things for edge in (low, high) if edge > 0):
            continue
        within = [t for t in r.things if low <= t.start < high]
        if len(within) > 1 or (not within and rng.random() < 0.75):
            continue
        found = [stretch for t in within for stretch in newest(r, t)]
        shown = [(start, min(end, high)) for start, end in found]
        ask(
            "between",
            a(within[0]) if within else "nothing",
            found,
            shown,
            span=(low, high),
            **{"from": clock(low), "to": clock(high)},
        )
        return


def _move(r: Recording, rng, ask) -> None:
    for t in r.things:
        if t.move_to is not None:
            ask(
                "move",
                "to the right" if t.move_to > t.zone else "to the left",
                [(t.move_at + scene.MOVE / 2, t.end)],
                [(t.move_at, t.end)],
                name=t.name,
            )
        elif t.end - t.start > 6 and rng.random() < 0.4:
            ask("move", "it does not move", there(t), name=t.name)


def _change(r: Recording, rng, ask) -> None:
    for t in r.things:
        if t.change_to is not None:
            ask("change", t.change_to, [(t.change_at, t.end)], name=t.name)
        elif t.end - t.start > 6 and rng.random() < 0.4:
            ask("change", "it does not change", there(t), name=t.name)


def _describe(r: Recording, rng, ask) -> None:
    text, parts = "", []
    for number, t in enumerate(r.things):
        lead = ", then " if number else "First " if len(r.things) > 1 else ""
        text += f"{lead}{a(t) if lead else a(t).capitalize()} {ZONES[t.zone]}"
        own = newest(r, t)
        parts.append(Part(len(text), own, own))
    text += "." if r.things else "Nothing appears."
    parts.append(Part(len(text)))
    text += f" The board says {r.board}." if r.board else " The board is empty."
    board = [(r.board_from, min(r.board_to, r.duration))] if r.board else []
    ask("describe", text, parts=[*parts, Part(len(text), board, board)])


ASKERS = {
    "what": _what,
    "colour": _colour,
    "shape": _shape,
    "where": _where,
    "count": _count,
    "presence": _presence,
    "first": _first,
    "last": _last,
    "after": _after,
    "before": _before,
    "when": _when,
    "how long": _how_long,
    "sign": _sign,
    "light": _light,
    "between": _between,
    "move": _move,
    "change": _change,
    "describe": _describe,
}


def normalized(text: str) -> str:
    """Lower case, without punctuation, articles and doubled spaces."""
    words = re.sub(r"[^a-z0-9 ]", " ", text.lower()).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def is_right(question: Question, answer: str) -> bool:
    """The rule: the same words in the same order, apart from case, punctuation and articles."""
    return normalized(answer) == normalized(question.answer)


def caption(state: scene.State) -> str:
    """A caption of a moment, for the text tower."""
    parts = []
    for zone, (shape, colour) in enumerate(state.slots()):
        if shape:
            parts.append(f"a {COLOURS[colour - 1]} {SHAPES[shape - 1]} {ZONES[zone]}")
    parts.append(f"the board says {state.board}" if state.board else "the board is empty")
    parts.append("by day" if state.light > 0.5 else "at night")
    return ", ".join(parts)


def all_texts() -> list[str]:
    """Questions, answers and captions: the tokenizers' training text."""
    rng = np.random.default_rng(7)
    texts: list[str] = []
    for seed in range(1, 400):
        if scene.split_of(seed) != "train":
            continue
        recording = scene.random_recording(seed, "train", longest=86_400)
        for question in questions(recording, rng):
            texts += [question.text, question.answer]
        texts.append(caption(recording.state_at(recording.duration / 2)))
    return texts + [*scene.BOARDS, *COUNTS]
