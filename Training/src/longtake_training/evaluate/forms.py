"""Answers in declared forms beside free text: are they valid, and are as many of them right?

    python -m longtake_training.evaluate.forms --model DIR --work DIR [--count 100]

Every question that a form fits is asked three times: for free text, in its form, and in its form with the form told to
the model in words as well. Writes Training/report/forms.json and prints its table.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from longtake_training import arguments, paths
from longtake_training.evaluate.asking import Asker, about, rate_text, save
from longtake_training.evaluate.page import interval, share, table
from longtake_training.evaluate.tasks import length_tasks
from longtake_training.world import questions
from longtake_training.world.questions import COUNTS, Question
from longtake_training.world.scene import COLOURS, SHAPES, ZONES

WAYS = {"free text": "f", "in its form": "d", "in its form, told in words too": "w"}
THINGS = [f"a {colour} {shape}" for colour in COLOURS for shape in SHAPES]
CHOICES: dict[str, list[str]] = {
    "what": [*THINGS, "nothing"],
    "colour": COLOURS,
    "shape": [f"a {shape}" for shape in SHAPES],
    "where": ZONES,
    "first": [*THINGS, "nothing"],
    "last": [*THINGS, "nothing"],
    "after": [*THINGS, "nothing"],
    "before": [*THINGS, "nothing"],
    "when": ["at the beginning", "in the middle", "at the end"],
    "how long": ["a short time", "a long time"],
    "light": ["day", "night", "first day, then night", "first night, then day"],
    "move": ["to the left", "to the right", "it does not move"],
    "change": [*COLOURS, "it does not change"],
    "between": [*THINGS, "nothing"],
}
"""What may be answered to each kind of question, as its author would list it; in some a sentence of denial is added."""


def form_of(question: Question) -> tuple[str, object, str] | None:
    """The form's name, the form as a pipeline has it, and the form in words; None: no form fits."""
    if question.kind == "presence":
        return "yes_no", "yes_no", "Answer yes or no."
    if question.kind == "count":
        return "number", "number", "Answer with a number."
    if question.kind not in CHOICES:
        return None
    choices = CHOICES[question.kind]
    if question.answer.startswith("there is no"):
        choices = [*choices, question.answer]
    elif question.kind in ("colour", "shape", "where"):
        # The same denial is offered where it is wrong.
        colour, shape = (next((w for w in words if f" {w}" in question.text), "") for words in (COLOURS, SHAPES))
        name = {"colour": shape, "shape": f"{colour} thing", "where": f"{colour} {shape}"}[question.kind]
        choices = [*choices, f"there is no {name}"]
    return "choice", {"choice": choices}, f"Answer with one of: {', '.join(choices)}."


def is_valid(name: str, form: object, value: object) -> bool:
    if name == "yes_no":
        return isinstance(value, bool)
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return value in form["choice"]


def is_right(question: Question, name: str, value: object) -> bool:
    if name == "yes_no":
        return value == (question.answer == "yes")
    if name == "number":
        return value == COUNTS.index(question.answer)
    return value == question.answer


def pipeline(file: Path, asked: list[Question], fps: float) -> str:
    lines = ["version: 1", f"inputs: [{json.dumps(str(file))}]", f"fps: {rate_text(fps)}", "output: answers.jsonl"]
    lines.append("questions:")
    for number, question in enumerate(asked):
        found = form_of(question)
        assert found
        _, form, words = found
        for mark in WAYS.values():
            text = f"{question.text} {words}" if mark == "w" else question.text
            lines += [f"  - id: {mark}{number}", f"    ask: {json.dumps(text)}", "    fusion: exact"]
            lines += [] if mark == "f" else [f"    answer: {json.dumps(form)}"]
    return "\n".join(lines) + "\n"


def ask(asker: Asker, name: str, file: Path, asked: list[Question]) -> dict[str, dict]:
    """The program's answers by their question's ID."""
    folder = asker.work / "runs" / f"forms-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(pipeline(file, asked, 1))
    command = [str(asker.program), "run", str(folder / "pipeline.yaml"), "--json", "--no-progress", "--model"]
    command += [str(asker.model), "--cache-dir", str(folder / "cache"), "--data-dir", str(folder / "data")]
    command += ["--threads", str(asker.threads)] if asker.threads else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: exit status {done.returncode}: {done.stderr.strip()[-400:]}")
    lines = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    shutil.rmtree(folder)
    return {line["question_id"]: line for line in lines}


def add(counts: dict, question: Question, found: tuple, answers: dict[str, dict], number: int) -> None:
    """Counts the three answers to a question."""
    name, form, _ = found
    for way, mark in WAYS.items():
        answer = answers[f"{mark}{number}"]
        part = counts[name].setdefault(way, {"right": 0, "asked": 0, "valid": 0})
        part["asked"] += 1
        if mark == "f":
            part["right"] += questions.is_right(question, answer["answer"])
        else:
            part["right"] += is_right(question, name, answer.get("value"))
            part["valid"] += is_valid(name, form, answer.get("value"))


def report(counts: dict) -> list[str]:
    rows = []
    for name, ways in counts.items():
        for way, part in ways.items():
            valid = "–" if way == "free text" else f"{part['valid']} of {part['asked']}"
            rows.append([f"`{name}`", way, f"{part['right']} of {part['asked']}", share(part), interval(part), valid])
    return table(["form", "asked", "right", "share", "95 %", "valid"], rows)


def main() -> None:
    parser = arguments.parser("evaluate.forms", __doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for recordings")
    parser.add_argument("--out", type=Path, default=paths.REPORT, help="folder for the result")
    parser.add_argument("--longtake", type=Path, default=paths.LONGTAKE)
    parser.add_argument("--count", type=int, default=100, help="recordings of a minute")
    parser.add_argument("--processes", type=int, default=2, help="processes that write recordings")
    parser.add_argument("--threads", type=int, help="threads of the program")
    args = parser.parse_args()
    asker = Asker.of(args)
    counts: dict[str, dict] = {"yes_no": {}, "choice": {}, "number": {}}
    start = time.time()
    for place, task in enumerate(length_tasks(args, 60, args.count, 18)):
        asked = [question for question in task.asked if form_of(question)]
        if not asked:
            continue
        answers = ask(asker, task.name, task.file, asked)
        for number, question in enumerate(asked):
            found = form_of(question)
            assert found
            add(counts, question, found, answers, number)
        if place % 10 == 9:
            print(f"{place + 1} of {args.count}, {time.time() - start:.0f} s", file=sys.stderr, flush=True)
    command = f"python -m longtake_training.evaluate.forms --model MODEL --work WORK --count {args.count}"
    save(args.out, "forms", {**about(asker, command), "recordings": args.count, "forms": counts})
    print("\n".join(report(counts)))


if __name__ == "__main__":
    main()
