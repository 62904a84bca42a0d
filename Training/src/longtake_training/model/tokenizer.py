"""Tokenizers of a small model: a byte-level one in Llama 3's layout, and CLIP's for the text tower.

Both are lists of files as a checkpoint folder has them; the classes read them back through the tokenizers library.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers

from longtake_training.model.llava_mini import PLACEHOLDER

Files = dict[str, str]
"""File name to text."""

SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user"
    " provides, and assist the user with a variety of tasks using natural language."
)
LLAMA_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CLIP_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

_NAMES = [
    "begin_of_text",
    "end_of_text",
    "reserved_special_token_0",
    "reserved_special_token_1",
    "finetune_right_pad_id",
    "reserved_special_token_2",
    "start_header_id",
    "end_header_id",
    "eom_id",
    "eot_id",
    "python_tag",
] + [f"reserved_special_token_{number}" for number in range(3, 248)]
SPECIALS = [f"<|{name}|>" for name in _NAMES]
"""Llama 3.1's special tokens, in the order of their ids."""

CHAT_TEMPLATE = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + "
    "'<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)
"""The chat template of the first Llama 3.1."""

START, END = "<|startoftext|>", "<|endoftext|>"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _alphabet() -> list[str]:
    """The 256 letters that stand for bytes; "!" is the first."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _learn(texts: list[str], tokenizer: tokenizers.Tokenizer, size: int, suffix: str | None = None) -> list[list[str]]:
    """Merges in order, at most as many as fit a vocabulary of `size` tokens."""
    more = {} if suffix is None else {"end_of_word_suffix": suffix}
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, show_progress=False, initial_alphabet=_alphabet(), special_tokens=[], **more
    )
    tokenizer.train_from_iterator(texts, trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]


# Llama 3's layout


def build(texts: list[str], size: int = 640) -> Files:
    """tokenizer.json, tokenizer_config.json and special_tokens_map.json for at most `size` tokens and the special ones.

    Every word of the prompt is one token, and so is every word of `texts` that occurs twice, the frequent ones first;
    merges for other words fill the rest, a third of the vocabulary at least. Each digit is a token. ID 0 is "!": the
    model treats it as padding, so it must not occur in `texts`.
    """
    if any("!" in text for text in texts):
        raise ValueError('the texts contain "!", whose id 0 counts as padding')
    steps = [
        pre_tokenizers.Split(Regex(LLAMA_PATTERN), "isolated"),
        # Only while learning, so that digits are never merged: the loader expects Llama's expression unchanged.
        pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    learner = tokenizers.Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(steps)
    pieces = learner.pre_tokenizer.pre_tokenize_str
    frame = [f"\n\n{SYSTEM}", "system", "user", "assistant", "\n\n", "\n"]
    prompt = [piece for text in frame for piece, _ in pieces(text)]
    counts = Counter(piece for text in texts for piece, _ in pieces(text))
    seen = sorted((piece for piece, count in counts.items() if count > 1), key=lambda piece: (-counts[piece], piece))

    vocabulary = dict.fromkeys(_alphabet() + prompt)
    room = len(vocabulary) + (size - len(vocabulary)) * 2 // 3
    for piece in seen:
        if len(vocabulary) >= room:
            break
        vocabulary.setdefault(piece)
    # `ignore_merges` finds whole words first, so they need no merges.
    merges = []
    for left, right in _learn(texts + frame, learner, size):
        if left + right not in vocabulary and len(vocabulary) >= size:
            break
        vocabulary.setdefault(left + right)
        merges.append([left, right])
    return _llama_files(list(vocabulary), merges)


def _llama_files(tokens: list[str], merges: list[list[str]]) -> Files:
    first = len(tokens)
    added = [
        {
            "id": first + place,
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for place, name in enumerate(SPECIALS)
    ]
    begin = SPECIALS[0]
    single = [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    pair = single + [{"SpecialToken": {"id": begin, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": LLAMA_PATTERN}, "behavior": "Isolated", "invert": False}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": {begin: {"id": begin, "ids": [first], "tokens": [begin]}},
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": {token: place for place, token in enumerate(tokens)},
            "merges": [" ".join(merge) for merge in merges],
        },
    }
    ends = {"bos_token": begin, "eos_token": SPECIALS[9]}
    settings = ends | {
        "added_tokens_decoder": {
            str(token["id"]): {key: value for key, value in token.items() if key != "id"} for token in added
        },
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": True,
        "model_max_length": 131_072,
        "model_input_names": ["input_ids", "attention_mask"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    return {
        "tokenizer.json": _text(tokenizer),
        "tokenizer_config.json": _text(settings),
        "special_tokens_map.json": _text(ends),
    }


class Tokenizer:
    """The language model's tokenizer."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._inner = tokenizers.Tokenizer.from_str(files["tokenizer.json"])
        self.vocab_size: int = self._inner.get_vocab_size(with_added_tokens=True)
        self._special = {name: self._inner.token_to_id(name) for name in SPECIALS}
        self.begin_id = self._special["<|begin_of_text|>"]
        self.end_of_turn = self._special["<|eot_id|>"]
        self.stop_ids = [self._special[name] for name in ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>")]
        before = "<|begin_of_text|>" + self._header("system") + SYSTEM + "<|eot_id|>" + self._header("user")
        self._before = [self.begin_id, *self.encode(before)]
        self._after = self.encode("<|eot_id|>" + self._header("assistant"))

    @staticmethod
    def from_folder(folder: Path | str) -> Tokenizer:
        names = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
        return Tokenizer({name: (Path(folder) / name).read_text() for name in names})

    @staticmethod
    def _header(role: str) -> str:
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n"

    def encode(self, text: str) -> list[int]:
        """Without a begin token; names of special tokens become their IDs."""
        return self._inner.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        """Text as shown to the user: without special tokens, spaces cleaned up, ends stripped."""
        text = self._inner.decode(ids, skip_special_tokens=True)
        for mark in (".", "?", "!", ","):
            text = text.replace(" " + mark, mark)
        text = text.replace(" ' ", "'")
        for ending in ("n't", "'m", "'s", "'ve", "'re"):
            text = text.replace(" " + ending, ending)
        return text.strip()

    def question_ids(self, question: str) -> list[int]:
        """What follows the placeholder in a prompt: the question and the assistant's header."""
        return self.encode(("\n" + question).rstrip()) + self._after

    @property
    def prefix_ids(self) -> list[int]:
        """What precedes the placeholder in every prompt; the begin token is there twice."""
        return list(self._before)

    def prompt_ids(self, question: str) -> list[int]:
        """The prompt of `llava_llama_3_1` for a question about one image or video."""
        return self._before + [PLACEHOLDER] + self.question_ids(question)

    def answer_ids(self, answer: str) -> list[int]:
        """The tokens of an answer, with the end of turn."""
        return self.encode(answer) + [self.end_of_turn]

    def starts(self, ids: list[int]) -> list[int]:
        """The character at which each id of a text begins, for texts in ASCII."""
        lengths = [len(self._inner.id_to_token(i)) for i in ids]
        return [sum(lengths[:place]) for place in range(len(ids))]


# CLIP's


def build_clip(texts: list[str], size: int = 1024, context: int = 40) -> Files:
    """The files of a CLIP tokenizer with at most `size` tokens: 512 for bytes, merges, and the two ends."""
    learner = tokenizers.Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    split = pre_tokenizers.Split(Regex(CLIP_PATTERN), "removed", invert=True)
    learner.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    letters = _alphabet()
    vocabulary = dict.fromkeys(letters + [letter + "</w>" for letter in letters])
    merges = []
    for left, right in _learn(texts, learner, size, suffix="</w>"):
        if left + right not in vocabulary and len(vocabulary) >= size - 2:
            break
        vocabulary.setdefault(left + right)
        merges.append(f"{left} {right}")
    vocabulary |= dict.fromkeys([START, END])
    ids = {token: place for place, token in enumerate(vocabulary)}
    added = [
        {
            "id": ids[name],
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": True,
            "special": True,
        }
        for name in (START, END)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Lowercase"},
            ],
        },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": CLIP_PATTERN}, "behavior": "Removed", "invert": True},
                byte_level,
            ],
        },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [END, ids[END]],
            "cls": [START, ids[START]],
            "trim_offsets": False,
            "add_prefix_space": False,
        },
        "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": END,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ids,
            "merges": merges,
        },
    }
    ends = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    settings = ends | {
        "add_prefix_space": False,
        "errors": "replace",
        "do_lower_case": True,
        "model_max_length": context,
        "tokenizer_class": "CLIPTokenizer",
    }
    return {
        "tokenizer.json": _text(tokenizer),
        "tokenizer_config.json": _text(settings),
        "special_tokens_map.json": _text(ends),
        "vocab.json": _text(ids),
        "merges.txt": "\n".join(["#version: 0.2", *merges]) + "\n",
    }


class ClipTokenizer:
    """The text tower's tokenizer."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._inner = tokenizers.Tokenizer.from_str(files["tokenizer.json"])
        self.vocab_size: int = self._inner.get_vocab_size(with_added_tokens=True)
        self.context: int = json.loads(files["tokenizer_config.json"])["model_max_length"]
        self.start_id, self.end_id = self._inner.token_to_id(START), self._inner.token_to_id(END)

    @staticmethod
    def from_folder(folder: Path | str) -> ClipTokenizer:
        names = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")
        return ClipTokenizer({name: (Path(folder) / name).read_text() for name in names})

    def encode(self, text: str) -> list[int]:
        """The caption alone, without ends."""
        return self._inner.encode(text, add_special_tokens=False).ids

    def clip_ids(self, caption: str, length: int | None = None) -> list[int]:
        """Start, caption, end, and the end again up to `length` (the context where not given)."""
        length = length or self.context
        ids = [self.start_id, *self.encode(caption)[: length - 2], self.end_id]
        return ids + [self.end_id] * (length - len(ids))
