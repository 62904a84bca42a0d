"""The scoring rule and the choice of questions."""

from __future__ import annotations

import numpy as np
import pytest

from longtake_training.world.questions import KINDS, TEMPLATES, Question, choose, clock, is_right, normalized
from longtake_training.world.recordings import asked, demo_day, demo_questions
from longtake_training.world.scene import random_recording


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("a green triangle", True),
        ("Green triangle.", True),
        ("the green  triangle", True),
        ("triangle green", False),
        ("a green triangle on the left", False),
        ("triangle", False),
        ("", False),
    ],
)
def test_an_answer_is_right_if_its_words_are_the_same_in_the_same_order(answer: str, right: bool) -> None:
    assert is_right(Question("after", "", "a green triangle"), answer) is right


def test_normalized_drops_case_punctuation_and_articles() -> None:
    assert normalized("First a red circle, then the STAR.") == "first red circle then star"


def test_clock_has_hours_only_if_needed() -> None:
    assert [clock(s) for s in (5, 750, 10_800)] == ["0:05", "12:30", "3:00:00"]


def test_choose_takes_each_kind_once_before_it_repeats_one() -> None:
    made = asked(random_recording(10, "test"))
    kinds = {q.kind for q in made}
    assert {q.kind for q in choose(made, len(kinds))} == kinds


def test_there_are_18_kinds_in_72_wordings() -> None:
    assert len(KINDS) == 18
    assert sum(map(len, TEMPLATES.values())) == 72


def test_questions_of_the_demo_have_one_answer() -> None:
    day = demo_day()
    assert [q["answer"] for q in demo_questions(day)][:2] == ["purple", "to the right"]
    assert np.isclose(day.duration, 10_800)
