"""One frame per second of a recording, resized to 336×336, with a library.

    python -m longtake_training.peers.decode av|decord|opencv|ffmpeg FILE

Prints seconds per sampled frame as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

SIDE = 336


def av(path: str) -> tuple[str, int]:
    import av as library

    container = library.open(path)
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    count, wanted = 0, 0.0
    for frame in container.decode(stream):
        if float(frame.pts * stream.time_base) >= wanted - 1e-6:
            frame.reformat(width=SIDE, height=SIDE, format="rgb24", interpolation="BICUBIC").to_ndarray()
            count, wanted = count + 1, wanted + 1
    return f"PyAV {library.__version__}", count


def decord(path: str) -> tuple[str, int]:
    import decord as library

    reader = library.VideoReader(path, ctx=library.cpu(0), width=SIDE, height=SIDE)
    rate = reader.get_avg_fps()
    frames = reader.get_batch([int(second * rate) for second in range(int(len(reader) / rate))]).asnumpy()
    return f"decord {library.__version__}", len(frames)


def opencv(path: str) -> tuple[str, int]:
    import cv2 as library

    capture = library.VideoCapture(path)
    rate, index, count = round(capture.get(library.CAP_PROP_FPS)), 0, 0
    while capture.grab():
        if index % rate == 0:
            _, frame = capture.retrieve()
            library.resize(frame, (SIDE, SIDE), interpolation=library.INTER_CUBIC)
            count += 1
        index += 1
    return f"OpenCV {library.__version__}", count


def ffmpeg(path: str) -> tuple[str, int]:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-vf", f"fps=1,scale={SIDE}:{SIDE}"]
    pixels = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], stdout=subprocess.PIPE, check=True
    ).stdout
    version = subprocess.run(["ffmpeg", "-version"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()[2]
    return f"ffmpeg {version}", len(pixels) // (3 * SIDE * SIDE)


def main() -> None:
    library, path = {"av": av, "decord": decord, "opencv": opencv, "ffmpeg": ffmpeg}[sys.argv[1]], sys.argv[2]
    start = time.perf_counter()
    peer, count = library(path)
    print(json.dumps({"peer": peer, "seconds": (time.perf_counter() - start) / count}))


if __name__ == "__main__":
    main()
