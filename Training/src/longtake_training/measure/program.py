"""The program under measurement."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

LONGTAKE = ".build/release/longtake"
NANO = "Models/nano"
DESK = "Demo/desk.mp4"
QUESTIONS = "Demo/questions.txt"


class Program:
    """The program with a model, and a cache and catalog that start empty unless `keep` is set."""

    def __init__(self, folder: Path, model: str = NANO, *, keep: bool = False) -> None:
        self.folder = folder
        self.library = ["--cache-dir", str(folder / "cache"), "--data-dir", str(folder / "data")]
        self.places = ["--model", model, *self.library]
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen([LONGTAKE, *arguments], stdout=subprocess.PIPE, text=True)

    def read(self, *arguments: str) -> list[dict]:
        """One JSON document, or JSON lines."""
        text = subprocess.run([LONGTAKE, *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=True).stdout
        try:
            found = json.loads(text)
            return found if isinstance(found, list) else [found]
        except ValueError:
            return [json.loads(line) for line in text.splitlines()]

    def recording(self) -> str:
        """The ID of the only recording."""
        return subprocess.run(
            [LONGTAKE, "ls", "-q", *self.library], capture_output=True, text=True, check=True
        ).stdout.split()[0]


def watched(run: subprocess.Popen, seconds: float, look: Callable[[int], None]) -> threading.Thread:
    """Calls `look` every few seconds until the process ends."""

    def watch() -> None:
        while run.poll() is None:
            try:
                look(run.pid)
            except OSError:
                pass  # The process has ended.
            time.sleep(seconds)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread
