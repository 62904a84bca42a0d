"""The generated world: a fixed camera, a desk, a wall with a board, a window. Things come, move, change color and go.

Everything follows from a seed. `random_recording(seed, split)` returns the events, `Recording.state_at(t)` the visible
state at a second, and `render(state, ...)` its image at any size. Coordinates are in units of an image of 84 x 84.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

UNIT = 84.0
SHAPES = ["circle", "square", "triangle", "star", "cross", "ring"]
COLOURS = ["red", "green", "blue", "yellow", "purple", "white"]
RGB = {
    "red": (205, 42, 38),
    "green": (48, 150, 58),
    "blue": (42, 82, 205),
    "yellow": (238, 208, 48),
    "purple": (146, 56, 172),
    "white": (242, 242, 238),
}
ZONES = ["on the left", "in the middle", "on the right"]
WORDS = ["OPEN", "STOP", "EXIT", "TAXI", "SALE", "BUS", "CAFE", "HELP"]
NUMBERS = [str(n) for n in range(10, 100)]
BOARDS = WORDS + NUMBERS
TEST_EVERY = 10


def split_of(seed: int) -> str:
    """ "test" or "train": every tenth seed is for tests only."""
    return "test" if seed % TEST_EVERY == 0 else "train"


def check_split(seed: int, split: str) -> None:
    """Refuses a seed of the other split: training passes "train", evaluation "test"."""
    if split_of(seed) != split:
        raise ValueError(f"seed {seed} belongs to the {split_of(seed)} split, not to {split}")


@dataclass
class Thing:
    """A thing on the desk in [start, end), in seconds."""

    shape: str
    colour: str
    zone: int
    start: float
    end: float
    radius: float = 10.0
    dx: float = 0.0
    y: float = 54.0
    turn: float = 0.0
    move_at: float | None = None
    move_to: int | None = None
    change_at: float | None = None
    change_to: str | None = None

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"

    def zones(self) -> set[int]:
        return {self.zone} | ({self.move_to} if self.move_to is not None else set())

    def colours(self) -> set[str]:
        return {self.colour} | ({self.change_to} if self.change_to else set())


@dataclass
class Look:
    """Camera and room: the same for a whole recording."""

    aspect: float = 1.0
    exposure: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    wood: float = 0.0
    grain: float = 0.0
    noise: float = 2.0
    jitter: float = 0.3
    night: float = 0.42


@dataclass
class Seen:
    """A thing at a moment: center and radius in units."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    turn: float


@dataclass
class State:
    """The visible state at a moment. `light` is 1 by day and 0 at night."""

    things: list[Seen]
    board: str
    light: float

    def slots(self) -> list[tuple[int, int]]:
        """(shape, color) per zone, numbered from 1; (0, 0) if it is empty."""
        result = [(0, 0)] * 3
        for thing in self.things:
            if thing.y < 79:
                zone = min(2, max(0, int(thing.x // 28)))
                result[zone] = (SHAPES.index(thing.shape) + 1, COLOURS.index(thing.colour) + 1)
        return result


SLIDE = 0.4  # seconds in which a thing comes in from below
MOVE = 1.0  # seconds of a move from one zone to another
DUSK = 1.5  # seconds in which the light changes


@dataclass
class Recording:
    """The events of one recording of `duration` seconds."""

    seed: int
    duration: float
    things: list[Thing] = field(default_factory=list)
    board: str = ""
    board_from: float = 0.0
    board_to: float = math.inf
    light_from: int = 1
    light_to: int = 1
    light_at: float = 0.0
    look: Look = field(default_factory=Look)

    def state_at(self, t: float) -> State:
        seen = []
        for thing in self.things:
            if not thing.start <= t < thing.end:
                continue
            x = 14.0 + 28.0 * thing.zone + thing.dx
            if thing.move_at is not None and thing.move_to is not None and t >= thing.move_at:
                share = min(1.0, (t - thing.move_at) / MOVE)
                x += 28.0 * (thing.move_to - thing.zone) * (3 * share**2 - 2 * share**3)
            y = thing.y
            inside = min((t - thing.start) / SLIDE, 1.0)
            if thing.start > 0 and inside < 1:
                y += (1 - inside) * (UNIT + thing.radius - thing.y)
            colour = thing.colour
            if thing.change_at is not None and thing.change_to and t >= thing.change_at:
                colour = thing.change_to
            seen.append(Seen(thing.shape, colour, x, y, thing.radius, thing.turn))
        light = float(self.light_from)
        if self.light_from != self.light_to:
            light += (self.light_to - self.light_from) * min(1.0, max(0.0, (t - self.light_at) / DUSK))
        board = self.board if self.board_from <= t < self.board_to else ""
        return State(seen, board, light)

    def boundaries(self) -> list[float]:
        """Times at which the state changes, with 0 and the end."""
        times = {0.0, self.duration}
        for thing in self.things:
            times |= {thing.start, thing.start + SLIDE, thing.end}
            if thing.move_at is not None:
                times |= {thing.move_at, thing.move_at + MOVE}
            if thing.change_at is not None:
                times.add(thing.change_at)
        if self.board:
            times |= {self.board_from, self.board_to}
        if self.light_from != self.light_to:
            times |= {self.light_at, self.light_at + DUSK}
        return sorted(t for t in times if 0 <= t <= self.duration)

    def segments(self) -> list[tuple[int, int, State]]:
        """Runs of equal frames at 1 per second: first and last second, and the state."""
        times = self.boundaries()
        result = []
        for a, b in pairwise(times):
            first, last = math.ceil(a - 1e-9), math.ceil(b - 1e-9) - 1
            if first <= last:
                result.append((first, last, self.state_at(first if last == first else (first + last) / 2)))
        return result


def random_look(rng: np.random.Generator) -> Look:
    return Look(
        aspect=float(rng.choice([1.0, 4 / 3, 4 / 3, 4 / 3, 1.5, 16 / 9])),
        exposure=float(rng.uniform(0.88, 1.1)),
        tint=tuple(float(v) for v in rng.uniform(0.95, 1.05, 3)),
        wood=float(rng.uniform(-1, 1)),
        grain=float(rng.integers(0, 7)),
        noise=float(rng.uniform(0, 6)),
        jitter=float(rng.choice([0, 0.2, 0.5])),
        night=float(rng.uniform(0.36, 0.5)),
    )


def random_duration(rng: np.random.Generator, longest: float) -> float:
    """Seconds: 10 to 60 half of the time, else up to `longest` uniform in the logarithm."""
    if longest <= 60 or rng.random() < 0.5:
        return float(rng.integers(10, int(min(longest, 60)) + 1))
    return float(int(math.exp(rng.uniform(math.log(60), math.log(longest)))))


def random_recording(
    seed: int, split: str, duration: float | None = None, longest: float = 60, event: tuple[float, float] | None = None
) -> Recording:
    """A recording that follows from the seed. `event` limits all events to an interval [from, to)."""
    check_split(seed, split)
    rng = np.random.default_rng([seed, 20250103])
    length = duration if duration is not None else random_duration(rng, longest)
    recording = Recording(seed, length, look=random_look(rng))
    low, high = event if event else (0.0, length)
    if event is None and length > 120 and rng.random() < 0.6:
        # All events within a short interval.
        span = float(rng.uniform(20, 90))
        low = float(rng.uniform(0, length - span))
        high = low + span
    span = high - low
    wanted = int(rng.choice([0, 1, 2, 3, 4], p=[0.06, 0.2, 0.28, 0.28, 0.18]))
    wanted = min(wanted, max(1, int(span // 5)))
    one_by_one = rng.random() < 0.5
    for start in _starts(rng, wanted, low, high):
        _add_thing(rng, recording, start, high, one_by_one)
    _add_board(rng, recording, low, high)
    recording.light_from = recording.light_to = int(rng.random() < 0.6)
    if rng.random() < 0.3 and span >= 12:
        recording.light_to = 1 - recording.light_from
        recording.light_at = float(low + span * rng.uniform(0.25, 0.7))
    return recording


def _starts(rng, wanted: int, low: float, high: float) -> list[float]:
    span = high - low
    for _ in range(50):
        starts = sorted(low + rng.uniform(0, max(0.1, span - 4), wanted))
        if wanted and low == 0 and rng.random() < 0.25:
            starts[0] = 0.0
        gaps = [b - a for a, b in pairwise(starts)]
        if not gaps or min(gaps) >= 2.5:
            return [float(s) for s in starts]
    return [low + span * (i + 0.2) / wanted for i in range(wanted)]


def _add_thing(rng, recording: Recording, start: float, high: float, one_by_one: bool) -> None:
    things = recording.things
    if one_by_one:
        for other in things:
            if other.end > start - 0.1:
                _cut(other, max(other.start + 2.2, start - 0.1))
    here = [t for t in things if t.end > start]
    used_zones = set().union(*[t.zones() for t in here]) if here else set()
    free = [z for z in range(3) if z not in used_zones]
    if not free:
        return
    names = {(t.shape, c) for t in things for c in t.colours()}
    for _ in range(100):
        shape, colour = str(rng.choice(SHAPES)), str(rng.choice(COLOURS))
        alike = any(t.shape == shape or colour in t.colours() for t in things)
        if (shape, colour) not in names and (not alike or rng.random() < 0.3):
            break
    kind = rng.random()
    stay = float(rng.uniform(3.2, 6) if kind < 0.4 else rng.uniform(6, 14) if kind < 0.5 else rng.uniform(14, 40))
    if recording.duration > 600 and rng.random() < 0.15:
        stay = float(math.exp(rng.uniform(math.log(40), math.log(recording.duration))))
    zone = int(rng.choice(free))
    thing = Thing(
        shape,
        colour,
        zone,
        start,
        min(start + stay, max(high, start + 3.2), recording.duration),
        radius=float(rng.uniform(8.8, 11.5)),
        dx=float(rng.uniform(-2.5, 2.5)),
        y=float(rng.uniform(38, 69)),
        turn=float(rng.uniform(-0.15, 0.15)),
    )
    stay = thing.end - thing.start
    others = [z for z in free if z != zone]
    if stay >= 8 and others and rng.random() < 0.3 and len(here) < 2:
        thing.move_to = int(rng.choice(others))
        thing.move_at = float(start + stay * rng.uniform(0.35, 0.6))
    elif stay >= 8 and rng.random() < 0.3:
        new = [c for c in COLOURS if c != colour and not any(c in t.colours() for t in things)]
        if new:
            thing.change_to = str(rng.choice(new))
            thing.change_at = float(start + stay * rng.uniform(0.35, 0.6))
    things.append(thing)


def _cut(thing: Thing, end: float) -> None:
    """Ends a thing's stay earlier, and removes a move or a change that would be too late to be visible."""
    thing.end = min(thing.end, end)
    if thing.move_at is not None and thing.move_at + MOVE + 2.2 > thing.end:
        thing.move_at = thing.move_to = None
    if thing.change_at is not None and thing.change_at + 2.2 > thing.end:
        thing.change_at = thing.change_to = None


def _add_board(rng, recording: Recording, low: float, high: float) -> None:
    if rng.random() < 0.25:
        return
    recording.board = str(rng.choice(WORDS)) if rng.random() < 0.5 else str(rng.choice(NUMBERS))
    if rng.random() < 0.5:
        recording.board_from = float(low + (high - low) * rng.uniform(0, 0.6))
        recording.board_to = float(min(recording.board_from + rng.uniform(4, 30), recording.duration))


# Images


@lru_cache(maxsize=256)
def _text(text: str, scale: int = 8) -> Image.Image:
    """The board's text, black on white, 44 x 13 units at `scale` pixels per unit, within a margin of 4 units."""
    image = Image.new("L", (52 * scale, 21 * scale), 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=11.5 * scale)
    for i, letter in enumerate(text):
        centre = (26 + (i - (len(text) - 1) / 2) * 9.6) * scale
        draw.text(
            (centre, 10.3 * scale), letter, fill=15, font=font, anchor="mm", stroke_width=scale // 3, stroke_fill=15
        )
    return image


@lru_cache(maxsize=64)
def _grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    x = ((np.arange(width, dtype=np.float32) + 0.5) * np.float32(UNIT / width))[None, :]
    y = ((np.arange(height, dtype=np.float32) + 0.5) * np.float32(UNIT / height))[:, None]
    return x, y


def _soft(distance: np.ndarray, pixel: float) -> np.ndarray:
    """Coverage of a pixel from its signed distance (units) to an edge."""
    return np.clip(0.5 - distance / pixel, 0, 1)


def _inside(x, y, left: float, right: float, top: float, bottom: float, pixel: float) -> np.ndarray:
    return _soft(np.maximum(np.maximum(left - x, x - right), np.maximum(top - y, y - bottom)), pixel)


@lru_cache(maxsize=2048)
def _room(width: int, height: int, wood: int, grain: int, dx: int, dy: int) -> tuple[np.ndarray, np.ndarray]:
    """Wall, board and desk by daylight, and the coverage of the window's glass; offsets in eighths of a unit."""
    x, y = _grid(width, height)
    x, y = x - dx / 8, y - dy / 8
    pixel = UNIT / height
    wall = np.array([188, 186, 176], np.float32)
    tone = wood / 4
    desk = np.array([146 + 12 * tone, 110 + 8 * tone, 80 + 4 * tone], np.float32)
    stripes = np.sin(y * 0.9 + 0.7 * np.sin(x * 0.11 + grain) + grain) * 5 + np.sin(y * 2.3 + x * 0.05) * 2.5
    picture = np.where((y < 20)[..., None], wall, desk) + np.where(y < 20, 0, stripes)[..., None]
    edge = (_soft(np.abs(y - 20.5) - 0.5, pixel) * np.ones_like(x))[..., None]
    picture = picture * (1 - edge) + edge * np.array([96, 72, 52], np.float32)
    for box, colour in [
        ((1.5, 50.5, 0.2, 15.8), (84, 62, 46)),
        ((3, 49, 1.2, 14.8), (206, 200, 186)),
        ((57.5, 82.5, 0.5, 17.5), (235, 232, 225)),
    ]:
        inside = _inside(x, y, *box, pixel)[..., None]
        picture = picture * (1 - inside) + inside * np.array(colour, np.float32)
    bar = _soft(np.abs(x - 70) - 0.6, pixel)
    return picture.astype(np.float32), (_inside(x, y, 59, 81, 2, 16, pixel) * (1 - bar)).astype(np.float32)


def _distance(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance, in radii, of points to a shape of radius 1."""
    if shape == "circle":
        return np.sqrt(x * x + y * y) - 0.95
    if shape == "ring":
        return np.abs(np.sqrt(x * x + y * y) - 0.74) - 0.25
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) - 0.84
    if shape == "triangle":
        return np.maximum(y - 0.75, (1.75 * np.abs(x) - 0.98 * (y + 1.0)) / 2.006)
    if shape == "cross":
        ax, ay = np.abs(x), np.abs(y)
        return np.minimum(np.maximum(ax - 0.32, ay - 1), np.maximum(ax - 1, ay - 0.32))
    if shape == "star":
        radius = np.sqrt(x * x + y * y)
        angle = np.abs((np.arctan2(x, -y) + math.pi / 5) % (2 * math.pi / 5) - math.pi / 5)
        inner = 0.48
        bx, by = inner * math.cos(math.pi / 5), inner * math.sin(math.pi / 5)
        nx, ny = by, 1.12 - bx
        return ((radius * np.cos(angle) - 1.12) * nx + radius * np.sin(angle) * ny) / math.hypot(nx, ny)
    raise ValueError(shape)


def render(
    state: State,
    look: Look,
    rng: np.random.Generator | None = None,
    width: int = 84,
    height: int = 84,
    offset: tuple[float, float] = (0, 0),
) -> np.ndarray:
    """The image [height, width, 3] uint8. `offset`: camera shake in units; without `rng` there is no noise."""
    dx, dy = round(offset[0] * 8), round(offset[1] * 8)
    room, glass = _room(width, height, round(look.wood * 4), round(look.grain), dx, dy)
    picture = room.copy()
    sx, sy = width / UNIT, height / UNIT
    if state.board:
        x0, x1 = int((4 + dx / 8) * sx), math.ceil((48 + dx / 8) * sx)
        y0, y1 = max(0, int((1.5 + dy / 8) * sy)), math.ceil((14.5 + dy / 8) * sy)
        picture[y0:y1, x0:x1] *= _ink(state.board, width, height, dx, dy, x0, y0, x1, y1)
    stretch = math.sqrt(look.aspect)
    gx, gy = _grid(width, height)
    pixel = UNIT / math.sqrt(width * height)
    for thing in state.things:
        rx, ry = thing.radius / stretch, thing.radius * stretch
        cx, cy = thing.x + dx / 8, thing.y + dy / 8
        x0, x1 = max(0, int((cx - 1.3 * rx) * sx)), min(width, math.ceil((cx + 1.5 * rx) * sx))
        y0, y1 = max(0, int((cy - 1.3 * ry) * sy)), min(height, math.ceil((cy + 1.5 * ry) * sy))
        if x0 >= x1 or y0 >= y1:
            continue
        x, y = (gx[:, x0:x1] - cx) / rx, (gy[y0:y1] - cy) / ry
        c, s = math.cos(thing.turn), math.sin(thing.turn)
        area = picture[y0:y1, x0:x1]
        u, v = x - 0.16, y - 0.16
        shadow = _distance(thing.shape, u * c + v * s, v * c - u * s) * thing.radius
        area *= (1 - 0.35 * _soft(shadow, 3 * pixel))[..., None]
        distance = _distance(thing.shape, x * c + y * s, y * c - x * s) * thing.radius
        shade = (1.04 - 0.10 * y - 0.06 * x)[..., None]
        rim = np.clip(1 + (distance + 0.4) * 0.5, 0, 1)[..., None] * 0.22
        area += _soft(distance, pixel)[..., None] * (np.array(RGB[thing.colour], np.float32) * shade * (1 - rim) - area)
    dark = 1 - state.light
    level = look.night + (1 - look.night) * state.light
    picture *= (
        np.array([level, level * (1 + 0.04 * dark), level * (1 + 0.22 * dark)], np.float32)
        * look.exposure
        * np.array(look.tint, np.float32)
    )
    night, day = np.array([30, 36, 78], np.float32), np.array([150, 200, 240], np.float32)
    picture += glass[..., None] * (night + (day - night) * np.float32(state.light) - picture)
    if look.noise and rng is not None:
        picture += np.float32(look.noise) * _noise(rng, height, width)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


@lru_cache(maxsize=16384)
def _ink(text: str, width: int, height: int, dx: int, dy: int, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    sx, sy = width / UNIT, height / UNIT
    box = tuple(8 * v for v in (x0 / sx - dx / 8, y0 / sy - dy / 8 + 2.5, x1 / sx - dx / 8, y1 / sy - dy / 8 + 2.5))
    box = (max(0, box[0]), max(0, box[1]), min(416, box[2]), min(168, box[3]))
    small = _text(text).resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC, box=box)
    return np.asarray(small, np.float32)[..., None] / 255


_field: np.ndarray | None = None


def _noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Sensor noise [height, width, 3] of std 1, a random crop of one large field."""
    global _field
    if _field is None or _field.shape[0] < height + 64 or _field.shape[1] < width + 64:
        _field = np.random.default_rng(5).standard_normal((height + 200, width + 200, 3), dtype=np.float32)
    y, x = rng.integers(0, 64, 2)
    return _field[y : y + height, x : x + width]


def patch_labels(state: State, look: Look, offset: tuple[float, float] = (0, 0)) -> tuple[np.ndarray, np.ndarray]:
    """Shape and color [36] that cover much of each patch of 14 x 14, numbered from 1; 0: none."""
    shapes, colours = np.zeros((6, 6), np.int64), np.zeros((6, 6), np.int64)
    stretch = math.sqrt(look.aspect)
    centres = (np.arange(6) + 0.5) * 14
    for thing in state.things:
        rx, ry = thing.radius / stretch, thing.radius * stretch
        near = (np.abs(centres[None, :] - thing.x - offset[0]) < rx * 0.45 + 5) & (
            np.abs(centres[:, None] - thing.y - offset[1]) < ry * 0.45 + 5
        )
        shapes[near] = SHAPES.index(thing.shape) + 1
        colours[near] = COLOURS.index(thing.colour) + 1
    return shapes.reshape(-1), colours.reshape(-1)


def random_state(rng: np.random.Generator) -> State:
    """A random moment for training on images: each zone is taken or not, uniform over shapes and colors."""
    things = []
    for zone in range(3):
        if rng.random() < 0.5:
            x = 14 + 28 * zone + rng.uniform(-3, 3) + (rng.uniform(-10, 10) if rng.random() < 0.04 else 0)
            things.append(
                Seen(
                    SHAPES[rng.integers(6)],
                    COLOURS[rng.integers(6)],
                    float(x),
                    float(rng.uniform(37, 70)),
                    float(rng.uniform(8.6, 11.7)),
                    float(rng.uniform(-0.17, 0.17)),
                )
            )
    board = "" if rng.random() < 0.25 else WORDS[rng.integers(8)] if rng.random() < 0.5 else NUMBERS[rng.integers(90)]
    light = float(rng.integers(0, 2)) if rng.random() < 0.95 else float(rng.random())
    return State(things, board, light)
