"""Both tokenizers: what they encode they decode."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from longtake_training.model.llava_mini import PLACEHOLDER
from longtake_training.model.tokenizer import SPECIALS, ClipTokenizer, Tokenizer, build, build_clip
from longtake_training.world import questions


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return questions.all_texts()


@pytest.fixture(scope="module")
def tokenizer(texts: list[str]) -> Tokenizer:
    return Tokenizer(build(texts))


def test_every_text_survives_encoding(texts: list[str], tokenizer: Tokenizer) -> None:
    for text in sorted(set(texts)):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert 0 not in ids, "pre-fusion takes id 0 for padding"


def test_other_text_survives_too(tokenizer: Tokenizer) -> None:
    for text in ("Who comes in at 12:30?", "naïve café", "Wer kommt? 猫"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_digits_are_tokens_of_their_own(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("4711")) == 4


def test_a_prompt_has_one_placeholder_between_prefix_and_question(tokenizer: Tokenizer) -> None:
    ids = tokenizer.prompt_ids("Is it day or night?")
    assert ids.count(PLACEHOLDER) == 1
    assert ids[: ids.index(PLACEHOLDER)] == tokenizer.prefix_ids
    assert ids[:2] == [tokenizer.begin_id] * 2
    assert tokenizer.answer_ids("day")[-1] == tokenizer.end_of_turn


def test_vocabulary_has_llamas_special_tokens_at_its_end(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.encode(name) for name in SPECIALS]
    first = tokenizer.vocab_size - len(SPECIALS)
    assert ids == [[i] for i in range(first, tokenizer.vocab_size)]


def test_a_tokenizer_is_read_back_from_its_files(tokenizer: Tokenizer, tmp_path) -> None:
    for name, text in tokenizer.files.items():
        (tmp_path / name).write_text(text)
    again = Tokenizer.from_folder(tmp_path)
    assert again.encode("What appears after the red circle?") == tokenizer.encode("What appears after the red circle?")


def test_clip_ids_have_both_ends_and_the_length(texts: list[str]) -> None:
    clip = ClipTokenizer(build_clip(texts))
    ids = clip.clip_ids("a red circle on the left, the board is empty, by day")
    assert len(ids) == clip.context
    assert (ids[0], ids[-1]) == (clip.start_id, clip.end_id)
    assert clip.encode("A RED  circle") == clip.encode("a red circle")
