"""Writes recordings as video files with ffmpeg.

    python -m longtake_training.world.recordings make OUT_DIR --seeds 10,20 --split test --min 10 --max 60
    python -m longtake_training.world.recordings demo OUT.mp4 OUT.json

`make` writes a video file per seed and a JSON file with its events and questions; `demo` writes the demo's three hours.
The same seed gives the same images, questions and format.
"""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longtake_training import arguments
from longtake_training.world import questions, scene
from longtake_training.world.scene import Look, Recording, State, Thing

SIZES = {
    "1.00": [(336, 336), (480, 480)],
    "1.33": [(320, 240), (384, 288), (480, 360), (640, 480)],
    "1.50": [(480, 320), (720, 480)],
    "1.78": [(432, 240), (640, 360)],
}
RATES = {4: 0.2, 5: 0.2, 8: 0.18, 10: 0.16, 12.5: 0.1, 15: 0.08, 25: 0.05, 30: 0.03}
SCENE = 60  # seconds of the scene in a long recording of the evaluation
DEPTHS = 5  # parts of such a recording that the scene may be in
ROOMS = 300 << 20  # bytes of cached background images
WALK = 1.5  # time constant of the camera's shake in seconds


@dataclass
class Format:
    """Codec, container and settings. `group`: the longest distance between key frames, in frames."""

    codec: str
    container: str
    width: int
    height: int
    fps: float
    crf: int
    bframes: int = 0
    group: int = 50

    def encoder(self) -> list[str]:
        """ffmpeg's options for the stream."""
        common = ["-crf", str(self.crf), "-g", str(self.group), "-threads", "1"]
        if self.codec == "h264":
            return ["-c:v", "libx264", "-preset", "veryfast", "-bf", str(self.bframes), *common]
        if self.codec == "hevc":
            inner = f"log-level=error:pools=none:frame-threads=1:bframes={self.bframes}"
            return ["-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", inner, *common]
        if self.codec == "vp9":
            return ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "0", *common]
        raise ValueError(f"unknown codec {self.codec}")


def random_format(rng: np.random.Generator, aspect: float = 4 / 3) -> Format:
    """A random format for this aspect ratio; low frame rates are likelier."""
    codec = str(rng.choice(["h264", "hevc", "vp9"], p=[0.6, 0.2, 0.2]))
    container = {"h264": str(rng.choice(["mp4", "mkv"])), "hevc": "mp4", "vp9": "webm"}[codec]
    sizes = SIZES[f"{aspect:.2f}"]
    width, height = sizes[rng.integers(len(sizes))]
    fps = float(rng.choice(list(RATES), p=list(RATES.values())))
    low, high = {"h264": (20, 34), "hevc": (20, 36), "vp9": (22, 46)}[codec]
    crf = int(rng.integers(low, high + 1))
    bframes = int(rng.choice([0, 2, 3])) if codec != "vp9" else 0
    group = max(2, round(fps * float(rng.choice([1, 2, 5, 20, 60]))))
    return Format(codec, container, width, height, fps, crf, bframes, group)


def ffmpeg(options: list[str], data: Iterable[bytes] = ()) -> None:
    """Runs ffmpeg with the data on its standard input; an error contains the end of its output."""
    with tempfile.TemporaryFile() as said:
        command = ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *options]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said)
        try:
            for part in data:
                process.stdin.write(part)
            process.stdin.close()
        except BrokenPipeError:
            pass
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.wait() != 0:
            said.seek(0)
            raise RuntimeError("ffmpeg: " + said.read().decode(errors="replace").strip()[-400:])


def _raw(width: int, height: int, fps: float) -> list[str]:
    return [
        "-f",
        "rawvideo",
        "-pixel_format",
        "rgb24",
        "-video_size",
        f"{width}x{height}",
        "-framerate",
        f"{fps:g}",
        "-i",
        "-",
        "-an",
        "-pix_fmt",
        "yuv420p",
        "-fflags",
        "+bitexact",
        "-flags:v",
        "+bitexact",
    ]


def _finished(path: Path, options: list[str], data: Iterable[bytes]) -> None:
    """Writes a temporary file and renames it, so that a file with this name is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    try:
        ffmpeg([*options, str(part)], data)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def shake(rng: np.random.Generator, count: int, fps: float, deviation: float) -> np.ndarray:
    """The camera's offsets in units [count, 2]: a random walk that reverts to the middle."""
    if deviation == 0:
        return np.zeros((count, 2))
    keep = math.exp(-1 / (fps * WALK))
    steps = rng.normal(0, deviation, (count, 2))
    for k in range(1, count):
        steps[k] = keep * steps[k - 1] + math.sqrt(1 - keep * keep) * steps[k]
    return steps.clip(-1.5, 1.5)


def _pictures(recording: Recording, width: int, height: int, fps: float, still: bool) -> Iterable[bytes]:
    rng = np.random.default_rng([recording.seed, 404])
    look = dataclasses.replace(recording.look, noise=0, jitter=0) if still else recording.look
    count = round(recording.duration * fps)
    offsets = shake(rng, count, fps, look.jitter)
    same = look.noise == 0 and look.jitter == 0
    before: State | None = None
    picture = b""
    for k in range(count):
        state = recording.state_at(k / fps)
        if not (same and state == before):
            if scene._room.cache_info().currsize * width * height * 16 > ROOMS:
                scene._room.cache_clear()
            picture = scene.render(state, look, rng, width, height, tuple(offsets[k])).tobytes()
            before = state
        yield picture
    scene._room.cache_clear()
    scene._ink.cache_clear()


def write(recording: Recording, path: Path | str, format: Format, still: bool = False) -> None:
    """Writes the recording as a file: frame k is the state at k/fps seconds. `still`: no noise and no shake."""
    ending = ["-movflags", "+faststart"] if format.container == "mp4" else []
    _finished(
        Path(path),
        [*_raw(format.width, format.height, format.fps), *format.encoder(), *ending],
        _pictures(recording, format.width, format.height, format.fps, still),
    )


def runs(recording: Recording, fps: float) -> list[tuple[State, int]]:
    """The states, frame by frame, with equal neighbors counted together."""
    result: list[tuple[State, int]] = []
    for k in range(round(recording.duration * fps)):
        state = recording.state_at(k / fps)
        if result and result[-1][0] == state:
            result[-1] = state, result[-1][1] + 1
        else:
            result.append((state, 1))
    return result


def write_long(
    recording: Recording,
    path: Path | str,
    fps: float = 2,
    width: int = 320,
    height: int = 240,
    crf: int = 20,
    piece: float = 600,
) -> None:
    """Writes hours as H.264 in MP4, without noise and shake. A piece of a still image is encoded once and repeated.

    Every piece starts with an IDR frame and has no B-frames, so pieces can be concatenated; the container assigns new
    timestamps.
    """
    look = dataclasses.replace(recording.look, noise=0, jitter=0)
    group = round(piece * fps)
    stream = Format("h264", "mp4", width, height, fps, crf, 0, group)
    stills: list[tuple[State, bytes]] = []
    pieces: list[bytes] = []
    waiting: list[tuple[State, int]] = []

    def encoded(parts: list[tuple[State, int]]) -> bytes:
        def frames() -> Iterable[bytes]:
            for state, count in parts:
                picture = scene.render(state, look, None, width, height).tobytes()
                for _ in range(count):
                    yield picture

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "piece.h264"
            ffmpeg([*_raw(width, height, fps), *stream.encoder(), "-f", "h264", str(file)], frames())
            return file.read_bytes()

    def flush() -> None:
        if waiting:
            pieces.append(encoded(waiting))
            waiting.clear()

    for state, count in runs(recording, fps):
        whole, rest = divmod(count, group)
        if whole:
            flush()
            data = next((made for known, made in stills if known == state), None)
            if data is None:
                data = encoded([(state, group)])
                stills.append((state, data))
            pieces += [data] * whole
        if rest:
            waiting.append((state, rest))
    flush()
    _finished(
        Path(path),
        [
            "-f",
            "h264",
            "-framerate",
            f"{fps:g}",
            "-i",
            "-",
            "-c",
            "copy",
            "-fflags",
            "+bitexact",
            "-movflags",
            "+faststart",
        ],
        pieces,
    )


def plain(recording: Recording) -> dict:
    """The recording for JSON; `board_to` is null if the text stays to the end."""
    result = dataclasses.asdict(recording)
    if math.isinf(result["board_to"]):
        result["board_to"] = None
    return result


def asked(recording: Recording) -> list[questions.Question]:
    """The recording's questions, kind by kind in an order that follows from the seed.

    Each kind has its own generator, so that the same scene in a longer recording gets the same questions.
    """
    made = []
    for place in np.random.default_rng([recording.seed, 506]).permutation(len(questions.KINDS)):
        rng = np.random.default_rng([recording.seed, 505, int(place)])
        made += questions.questions(recording, rng, [questions.KINDS[place]])
    return made


def one(seed: int, split: str, shortest: float, longest: float) -> tuple[Recording, Format]:
    """The recording and the format of a seed."""
    rng = np.random.default_rng([seed, 303])
    duration = float(rng.integers(int(shortest), int(longest) + 1))
    recording = scene.random_recording(seed, split, duration)
    return recording, random_format(rng, recording.look.aspect)


def save_json(path: Path, value: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")
    part.rename(path)


def make(folder: Path, seed: int, split: str = "test", shortest: float = 10, longest: float = 60) -> Path:
    """Writes a seed's video file, unless it exists, and its JSON file. Returns the JSON file's path."""
    recording, format = one(seed, split, shortest, longest)
    file = folder / f"{split}-{seed}.{format.container}"
    if not file.exists():
        write(recording, file, format)
    beside = file.with_suffix(".json")
    save_json(
        beside,
        {
            "file": file.name,
            "format": dataclasses.asdict(format),
            "recording": plain(recording),
            "questions": [q.plain() for q in asked(recording)],
        },
    )
    return beside


# The demo


def at(clock: str) -> float:
    """ "1:02:03" in seconds."""
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return total


def demo_day() -> Recording:
    def thing(shape: str, colour: str, zone: int, start: str, stay: float, **more) -> Thing:
        return Thing(shape, colour, zone, at(start), at(start) + stay, **more)

    left, middle, right = 0, 1, 2
    return Recording(
        seed=0,
        duration=at("3:00:00"),
        board="OPEN",
        board_from=at("2:04:00"),
        board_to=at("2:20:00"),
        light_from=1,
        light_to=0,
        light_at=at("1:48:20"),
        look=Look(aspect=4 / 3, wood=0.3, grain=2, noise=0, jitter=0),
        things=[
            thing("square", "blue", left, "0:12:40", 240, radius=10.5, y=52),
            thing("circle", "red", left, "0:47:30", 150, y=56, move_at=at("0:48:40"), move_to=right),
            thing("triangle", "green", middle, "1:33:20", 90, radius=11, y=54, dx=-1),
            thing("star", "purple", right, "2:41:50", 20, radius=11, y=50, turn=0.08),
        ],
    )


def demo_questions(day: Recording) -> list[dict]:
    """Six questions; each must be one that `questions` asks about the day, with the same answer."""
    wanted = [
        ("colour", "What colour is the star?", "purple", "2:41:50"),
        ("move", "Where does the red circle move?", "to the right", "0:48:40"),
        ("after", "What appears after the red circle?", "a green triangle", "1:33:20"),
        ("light", "Is it day or night?", "first day, then night", "1:48:20"),
        ("sign", "What does the board say?", "OPEN", "2:04:00"),
        ("shape", "What is the shape of the blue thing?", "a square", "0:12:40"),
    ]
    result = []
    for kind, text, answer, seen in wanted:
        possible = {
            (q.text, q.answer) for i in range(2000) for q in questions.questions(day, np.random.default_rng(i), [kind])
        }
        if (text, answer) not in possible or any(t == text and a != answer for t, a in possible):
            raise ValueError(f"{text} has not {answer} as its one answer")
        result.append({"kind": kind, "text": text, "answer": answer, "second": at(seen)})
    return result


def demo_events(day: Recording) -> list[dict]:
    """The events in order."""
    events = [
        (day.board_from, f"the board says {day.board}"),
        (day.board_to, "the board is empty"),
        (day.light_at, "it becomes night"),
    ]
    for t in day.things:
        events.append((t.start, f"a {t.name} comes {scene.ZONES[t.zone]} for {t.end - t.start:g} s"))
        if t.move_at is not None and t.move_to is not None:
            events.append((t.move_at, f"the {t.name} moves {scene.ZONES[t.move_to].replace('on', 'to')}"))
        if t.change_at is not None:
            events.append((t.change_at, f"the {t.name} becomes {t.change_to}"))
    return [{"second": second, "clock": questions.clock(second), "what": what} for second, what in sorted(events)]


def demo(video: Path, beside: Path) -> None:
    day = demo_day()
    asked_of_it = demo_questions(day)
    write_long(day, video, fps=5, width=480, height=360, piece=60)
    save_json(
        beside,
        {
            "file": video.name,
            "duration": day.duration,
            "events": demo_events(day),
            "questions": asked_of_it,
            "recording": plain(day),
        },
    )
    lines = [f"{q['text']}|{q['answer']}|{questions.clock(q['second'])}\n" for q in asked_of_it]
    beside.with_name("questions.txt").write_text("".join(lines))


def main() -> None:
    parser = arguments.parser("world.recordings", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("make")
    sub.add_argument("folder", type=Path)
    sub.add_argument("--seeds", required=True, help="numbers with commas between")
    sub.add_argument("--split", choices=["train", "test"], default="test")
    sub.add_argument("--min", type=float, default=10)
    sub.add_argument("--max", type=float, default=60)
    sub = commands.add_parser("demo")
    sub.add_argument("video", type=Path)
    sub.add_argument("json", type=Path)
    args = parser.parse_args()
    if args.command == "demo":
        demo(args.video, args.json)
        return
    for seed in args.seeds.split(","):
        print(make(args.folder, int(seed), args.split, args.min, args.max))


if __name__ == "__main__":
    main()
