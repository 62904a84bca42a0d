"""The stages of the language model, with instructions, on cached features.

A run of n equal frames is one row that counts n times: log n is added to the score of its key, and its position is a
second within the run. So a recording of 24 hours costs as much as one of a minute, and the model learns to find seconds
in hours. Several questions share one recording: each attends to the prefix and the frames, not to other questions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtake_training.model.llava_mini import LlavaMini, rope_tables
from longtake_training.model.tokenizer import Tokenizer
from longtake_training.train import progress, timeline
from longtake_training.train.feature_bank import Bank, Entry
from longtake_training.world import questions

RECORDINGS = 8
QUESTIONS = 10
WEIGHTS = {
    "colour": 3,
    "what": 3,
    "first": 1.5,
    "last": 2,
    "after": 3,
    "before": 3,
    "between": 2,
    "change": 3,
    "move": 2.5,
    "when": 2,
    "how long": 1.5,
    "presence": 0.7,
    "sign": 0.5,
    "light": 0.5,
    "shape": 0.7,
}
"""Weights of the kinds of questions: higher for hard kinds, where a color must be bound to a thing."""


@dataclass
class Batch:
    """R recordings. Rows: prefix, frames (padded), then the questions, each followed by its answer (padded).

    - `frames` [R, S]: index in the bank
    - `counts` [R, S]: frames that a row stands for, 0 for padding
    - `places` [R, S]: second of the row
    - `own` [R, S]: frames of the row's run up to its second
    - `lengths` [R]: seconds of the recording
    - `suffix` [R, T]: token IDs
    - `group` [R, T]: number of the question from 1, 0 for padding
    - `offset` [R, T]: index in the question
    - `target` [R, T]: the next ID if it belongs to an answer, else -100
    - `fused` [R, M]: index in the bank of the frames that the text is fused with
    - `pointed` [R, T, S]: bit 1 if the answer can be read there, bit 2 if what it names is visible there
    - `pointing` [R, T]: bits 1 and 2 if `pointed` has them; bits 4 and 8 if there is nothing to find or to see
    - `spans` [R, T, 5]: for answers, `timeline.bucket` of the recording's length and of the two times in the question,
      and its `timeline.topic`; else -100
    """

    frames: Tensor
    counts: Tensor
    places: Tensor
    own: Tensor
    lengths: Tensor
    suffix: Tensor
    group: Tensor
    offset: Tensor
    target: Tensor
    fused: Tensor
    pointed: Tensor
    pointing: Tensor
    spans: Tensor
    kinds: list[list[str]]
    truth: tuple[Tensor, ...] | None = None


def rows_of(
    entry: Entry, rng: np.random.Generator, unroll_share: float = 0.6
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Rows that stand for a recording: index in the bank, count, second, and frames of the run up to that second."""
    frames, counts, places, own = [], [], [], []
    unroll = entry.recording.duration <= 90 and rng.random() < unroll_share
    for number, (first, last) in enumerate(entry.runs):
        length = last - first + 1
        pieces = length if unroll else min(length, int(rng.integers(1, 4)))
        cuts = (
            np.sort(rng.choice(np.arange(1, length), pieces - 1, replace=False))
            if 1 < pieces < length
            else np.arange(1, pieces)
        )
        edges = [0, *(int(c) for c in cuts), length]
        for a, b in pairwise(edges):
            frames.append(entry.start + number)
            counts.append(b - a)
            places.append(first + int(rng.integers(a, b)))
            own.append(places[-1] - first - a + 1)
    return frames, counts, places, own


HARDEST = {
    **WEIGHTS,
    "after": 4,
    "before": 2.5,
    "between": 3,
    "change": 4,
    "count": 4,
    "describe": 4,
    "last": 3,
    "when": 2.5,
    "colour": 2,
    "what": 1.5,
}
"""Weights for the last stage: higher for the kinds that were wrong most often."""


def weighted(
    asked: list[questions.Question], limit: int, rng: np.random.Generator, weights: dict[str, float] = WEIGHTS
) -> list[questions.Question]:
    """A sample without replacement, by the weights of the kinds."""
    share: dict[str, int] = {}
    for question in asked:
        share[question.kind] = share.get(question.kind, 0) + 1
    weight = np.array([weights.get(q.kind, 1.0) * (0.5 + 0.5 / share[q.kind]) for q in asked])
    chosen = rng.choice(len(asked), min(limit, len(asked)), replace=False, p=weight / weight.sum())
    return [asked[i] for i in chosen]


def hint(part: questions.Part, times: np.ndarray) -> tuple[np.ndarray, int]:
    """Rows that a part of an answer is read from, as `Batch.pointed` and `Batch.pointing` have it."""
    marks, flags = np.zeros(len(times), np.uint8), 0
    for bit, stretches in [(1, part.found), (2, part.shown)]:
        if stretches is None:
            continue
        if not stretches:
            flags |= bit * 4
        for start, end in stretches:
            inside = (times >= start) & (times < end)
            if inside.any():
                marks[inside] |= bit
                flags |= bit
    return marks, flags


class Batches:
    """Makes batches from a bank; `kinds` restricts the questions."""

    def __init__(self, bank: Bank, tokenizer: Tokenizer, seed: int, kinds: list[str] | None = None) -> None:
        self.bank, self.tokenizer, self.kinds = bank, tokenizer, kinds
        self.rng = np.random.default_rng([seed, 79])
        self.unroll = 0.6
        self.weights = WEIGHTS
        self.still = [i for i, entry in enumerate(bank.entries) if entry.kinds]
        self.moving = [i for i, entry in enumerate(bank.entries) if not entry.kinds]
        self.ids: dict[tuple[str, str], tuple[list[int], list[int], list[int]]] = {}

    def tokens(self, question: questions.Question) -> tuple[list[int], list[int], list[int]]:
        """Tokens of a question and of its answer, and the character at which each token of the answer begins."""
        key = (question.text, question.answer)
        if key not in self.ids:
            if len(self.ids) > 100_000:
                self.ids.clear()
            answer = self.tokenizer.answer_ids(question.answer)
            self.ids[key] = (self.tokenizer.question_ids(question.text), answer, self.tokenizer.starts(answer))
        return self.ids[key]

    def make(self, entries: list[Entry], fused: int, limit: int = QUESTIONS, timed: bool = False) -> Batch:
        rng = self.rng
        rows = [rows_of(entry, rng, self.unroll) for entry in entries]
        suffixes, kinds, pointed, pointing, spans = [], [], [], [], []
        for entry, (_, _, places, _) in zip(entries, rows, strict=True):
            ids, group, offset, target = [], [], [], []
            times = np.array(places)
            marks: list[np.ndarray] = []
            flags: list[int] = []
            about: list[tuple[int, ...]] = []
            length = timeline.bucket(entry.runs[-1][1] + 1)
            chosen = weighted(
                questions.questions(entry.recording, rng, entry.kinds or self.kinds), limit, rng, self.weights
            )
            for number, question in enumerate(chosen, 1):
                asked, answer, starts = self.tokens(question)
                whole = asked + answer
                ids += whole[:-1]
                group += [number] * (len(whole) - 1)
                offset += range(len(whole) - 1)
                target += [-100] * (len(asked) - 1) + answer
                named = tuple(map(timeline.bucket, question.span)) if question.span else (-100, -100)
                about += [(-100,) * 5] * (len(asked) - 1) + [(length, *named, *timeline.topic(question))] * len(answer)
                hints = [hint(part, times) for part in question.parts]
                nothing = (np.zeros(len(times), np.uint8), 0)
                for start in [*[-1] * (len(asked) - 1), *starts]:
                    part = (
                        next((h for h, p in zip(hints, question.parts, strict=True) if start < p.end), nothing)
                        if start >= 0
                        else nothing
                    )
                    marks.append(part[0])
                    flags.append(part[1])
            pointed.append(np.stack(marks))
            pointing.append(flags)
            spans.append(about)
            suffixes.append((ids, group, offset, target))
            kinds.append([q.kind for q in chosen])
        sampled = []
        for places, counts, _, _ in rows:
            share = np.array(counts) / sum(counts)
            sampled.append([places[i] for i in rng.choice(len(places), fused, p=share)])

        def padded(lists: list[list[int]], fill: int = 0) -> Tensor:
            width = max(map(len, lists))
            return torch.tensor([list(x) + [fill] * (width - len(x)) for x in lists])

        times_asked = torch.full((len(rows), max(map(len, spans)), 5), -100)
        for row, some in enumerate(spans):
            times_asked[row, : len(some)] = torch.tensor(some)
        marked = torch.zeros(len(rows), max(map(len, pointing)), max(len(r[0]) for r in rows), dtype=torch.uint8)
        for row, some in enumerate(pointed):
            marked[row, : some.shape[0], : some.shape[1]] = torch.from_numpy(some)
        return Batch(
            *(padded([r[i] for r in rows]) for i in range(3)),
            padded([r[3] for r in rows], 1),
            torch.tensor([e.runs[-1][1] + 1 for e in entries]),
            padded([s[0] for s in suffixes]),
            padded([s[1] for s in suffixes]),
            padded([s[2] for s in suffixes]),
            padded([s[3] for s in suffixes], -100),
            torch.tensor(sampled),
            marked,
            padded(pointing),
            times_asked,
            kinds,
            self.truth(entries, [r[2] for r in rows]) if timed else None,
        )

    @staticmethod
    def truth(entries: list[Entry], places: list[list[int]]) -> tuple[Tensor, ...]:
        """`timeline.labels` of all rows, padded with zeros."""
        width = max(map(len, places))
        parts = [timeline.labels(e.recording, p) for e, p in zip(entries, places, strict=True)]
        return tuple(
            torch.from_numpy(np.stack([np.pad(x, [(0, width - len(x))] + [(0, 0)] * (x.ndim - 1)) for x in column]))
            for column in zip(*parts, strict=True)
        )

    def sample(
        self, fused: int, still: float = 0.0, limit: int = QUESTIONS, timed: bool = False, count: int = RECORDINGS
    ) -> Batch:
        """`still`: fraction of still images, if the bank has some."""
        chosen = []
        for _ in range(count):
            places = self.still if self.still and self.rng.random() < still else self.moving
            chosen.append(self.bank.entries[places[self.rng.integers(len(places))]])
        return self.make(chosen, fused, limit, timed)


NEVER = -1e9
PROBED = 3
"""Number of layers before the timeline probes."""
FINDER, SHOWER = (4, 0), (5, 0)
"""Layer and head trained to attend to where the answer can be read, and to where what it names is visible."""


def seen(group: Tensor) -> Tensor:
    """[R, T, T] attention bias among question rows: a row attends to itself and to earlier rows of its question."""
    count = group.shape[1]
    own = (group[:, :, None] == group[:, None, :]) & torch.ones(count, count, dtype=torch.bool).tril()
    return torch.zeros(own.shape).masked_fill_(~own, NEVER)


class Reader:
    """Runs batches through pre-fusion (of the text) and the language model."""

    def __init__(self, llava: LlavaMini, bank: Bank, tokenizer: Tokenizer) -> None:
        self.llava, self.bank = llava, bank
        self.prefix = torch.tensor(tokenizer.prefix_ids)
        self.tokens: Tensor | None = None
        self.watched: Tensor | None = None
        self.asked: Tensor | None = None
        self.looks: list[Tensor] = []
        self.shown = slice(0)

    @torch.no_grad()
    def cache(self, folder: Path | None = None) -> None:
        """Computes the visual tokens of the whole bank once, while the layers before the language model are frozen.

        With `folder` they are also kept there.
        """
        body, file = self.llava.model, None
        if folder is not None:
            parts = [body.compressor, body.mm_projector, body.prefusion_layers]
            weights = b"".join(p.detach().numpy().tobytes() for part in parts for p in part.parameters())
            file = folder / f"tokens-{len(self.bank.patches)}-{hashlib.sha256(weights).hexdigest()[:12]}.pt"
            if file.exists():
                self.tokens = torch.load(file)
                return
        self.tokens = torch.cat([self.visual(part) for part in torch.arange(len(self.bank.patches)).split(500)])
        if file is not None:
            torch.save(self.tokens, file)

    def visual(self, places: Tensor) -> Tensor:
        """Visual tokens [N, C2, H] of frames of the bank."""
        return self.llava.prefuse(*self.llava.project(self.bank.patches[places].float()))[0]

    def text(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Fused prefix [R, A, H] and questions [R, T, H]: means over the frames in `batch.fused`."""
        llava, count = self.llava, batch.fused.shape[1]
        raw = llava.embed(torch.cat([self.prefix.expand(len(batch.suffix), -1), batch.suffix], dim=1))
        before, after = len(self.prefix), batch.suffix.shape[1]
        patch_rows, compressed = llava.project(self.bank.patches[batch.fused.flatten()].float())
        vision = patch_rows.shape[1] + compressed.shape[1]
        positions = torch.cat([torch.arange(before).expand(len(raw), -1), before + batch.offset], dim=1) + vision
        bias = torch.zeros(len(raw), before + after, vision + before + after)
        bias[:, :before, vision : vision + before] = torch.full((before, before), NEVER).triu(1)
        bias[:, :before, vision + before :] = NEVER
        bias[:, before:, vision + before :] = seen(batch.group)

        def each(x: Tensor) -> Tensor:
            return x.repeat_interleave(count, dim=0) if count > 1 else x

        _, text = llava.prefuse(patch_rows, compressed, each(raw), each(positions), each(bias[:, None]))
        assert text is not None
        text = text.view(len(raw), count, before + after, -1).mean(1)
        # Answers are fed back unfused: pre-fusion sees the prompt only.
        answered = self.is_answer(batch)
        suffix = torch.where(answered[..., None], raw[:, before:], text[:, before:])
        return text[:, :before], suffix

    @staticmethod
    def is_answer(batch: Batch) -> Tensor:
        """[R, T]: rows that hold a token of an answer, that is, whose predecessor has it as target."""
        answered = torch.zeros_like(batch.target, dtype=torch.bool)
        answered[:, 1:] = (batch.target[:, :-1] != -100) & (batch.group[:, 1:] == batch.group[:, :-1])
        return answered

    def hidden(self, batch: Batch, noise: float = 0.0) -> Tensor:
        """The questions' rows after the final norm [R, T, H]."""
        llava = self.llava
        prefix, suffix = self.text(batch)
        count, runs = batch.frames.shape
        if self.tokens is not None:
            visual = self.tokens[batch.frames]  # [R, S, C2, H]
        else:
            unique, inverse = batch.frames.unique(return_inverse=True)
            visual = self.visual(unique)[inverse]
        each = visual.shape[2]
        if noise:
            visual = visual + noise * visual.std() * torch.randn_like(visual)
        rows = torch.cat([prefix, visual.flatten(1, 2), suffix], dim=1)
        before, shown, after = prefix.shape[1], runs * each, suffix.shape[1]
        at = before + batch.places[..., None] * each + torch.arange(each)
        positions = torch.cat(
            [
                torch.arange(before).expand(count, -1),
                at.flatten(1),
                before + batch.lengths[:, None] * each + batch.offset,
            ],
            dim=1,
        )
        often = batch.counts.float().log().clamp_min(NEVER).repeat_interleave(each, dim=1)
        width = before + shown + after
        bias = torch.zeros(count, width, width)
        bias[:, : before + shown, : before + shown] = torch.full((before + shown, before + shown), NEVER).triu(1)
        bias[:, :, before : before + shown] += often[:, None]
        # A row stands for one frame of its run, which attends only to the frames of the run up to itself.
        own = torch.arange(before, before + shown)
        bias[:, own, own] = batch.own.float().log().repeat_interleave(each, dim=1)
        bias[:, : before + shown, before + shown :] = NEVER
        bias[:, before + shown :, before + shown :] = seen(batch.group)
        cos, sin = rope_tables(llava.language, positions)
        self.looks = []
        for number, layer in enumerate(llava.model.layers, 1):
            taught = [head for at, head in (FINDER, SHOWER) if at == number]
            layer.self_attn.kept_head = taught[0] if taught else None
            rows = layer(rows, cos, sin, bias[:, None])
            if number == PROBED:
                self.watched, self.asked = rows[:, before : before + shown], rows[:, before + shown :]
            if taught and layer.self_attn.kept is not None:
                self.looks.append(layer.self_attn.kept[:, before + shown :])
        self.shown = slice(before, before + shown)
        return llava.model.norm(rows)[:, before + shown :]


def answer_loss(llava: LlavaMini, hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Mean cross-entropy of the answers' tokens, which of them had the highest logit, and a mask of them."""
    wanted = batch.target != -100
    logits = llava.logits(hidden[wanted])
    targets = batch.target[wanted]
    # An answer's weight grows with the square root of its length, so that long descriptions do not dominate.
    which = torch.arange(len(batch.group))[:, None] * 1000 + batch.group
    _, inverse, sizes = which[wanted].unique(return_inverse=True, return_counts=True)
    weight = sizes[inverse].float().rsqrt()
    loss = (F.cross_entropy(logits, targets, reduction="none") * weight).sum() / weight.sum()
    return loss, logits.argmax(-1) == targets, wanted


def pointing_loss(reader: Reader, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Supervises two attention heads: -log of the attention that falls on the right frames.

    If there is nothing to see they should attend to no frame. Also returns the mean attention on the right frames.
    """
    total, seen_right = torch.zeros(()), {}
    for bit, name, scores in zip([1, 2], ["finds", "shows"], reader.looks, strict=False):
        shares = scores.float().log_softmax(-1)
        frames_ = shares[..., reader.shown]
        each = frames_.shape[-1] // batch.pointed.shape[-1]
        wanted = (batch.pointed & bit).bool().repeat_interleave(each, dim=-1)
        there, nowhere = (batch.pointing & bit) > 0, (batch.pointing & (4 * bit)) > 0
        right = frames_[there].masked_fill(~wanted[there], NEVER).logsumexp(-1)
        none = shares.clone()
        none[..., reader.shown] = NEVER
        absent = none[nowhere].logsumexp(-1)
        both = torch.cat([right, absent])
        if len(both):
            total = total - both.mean()
            seen_right[name] = float(right.detach().exp().mean()) if len(right) else -1.0
            seen_right["not " + name] = float(absent.detach().exp().mean()) if len(absent) else -1.0
    return total, seen_right


@torch.no_grad()
def evaluate(reader: Reader, batches: Batches, entries: list[Entry], fused: int = 4) -> dict[str, float]:
    """Fraction of answers with every token right, per kind and in all."""
    right: dict[str, list[bool]] = {}
    for start in range(0, len(entries), RECORDINGS):
        batch = batches.make(entries[start : start + RECORDINGS], fused, limit=30)
        _, correct, wanted = answer_loss(reader.llava, reader.hidden(batch), batch)
        good = torch.ones(batch.target.shape, dtype=torch.bool)
        good[wanted] = correct
        for row, kinds in enumerate(batch.kinds):
            for number, kind in enumerate(kinds, 1):
                right.setdefault(kind, []).append(bool(good[row][batch.group[row] == number].all()))
    every = [value for values in right.values() for value in values]
    return {"all": sum(every) / len(every)} | {kind: sum(v) / len(v) for kind, v in sorted(right.items())}


def run(
    reader: Reader,
    batches: Batches,
    tester: Reader,
    held_out: Batches,
    steps: int,
    file: Path,
    log: progress.Log,
    peak: float = 1.2e-3,
    joint: bool = False,
    name: str = "language",
    every: int = 500,
    fused: int = 1,
    still: float | None = None,
    probes: timeline.Probes | None = None,
    watch: float = 0.3,
    only: bool = False,
    point: float = 0.0,
    horizon: int | None = None,
    weights: dict[str, float] = WEIGHTS,
    counting: float = 1,
) -> dict[str, float]:
    """Trains the language model in place, and with `joint` all layers after the tower; saves the result to `file`.

    `probes`: adds the timeline loss with weight `watch`; with `only`, the answers' loss gets a tenth of its weight.
    `point`: weight of the attention loss. `horizon`: length of the learning rate schedule in steps, default `steps`.
    """
    torch.manual_seed(3)
    batches.weights = weights
    llava = reader.llava
    body = llava.model
    language = [body.embed_tokens, body.layers, body.norm, *([llava.lm_head] if not llava.language.tied else [])]
    before = [body.compressor, body.mm_projector, body.prefusion_layers]
    for part in before:
        part.requires_grad_(joint)
    if not joint and reader.tokens is None:
        reader.cache(file.parent if probes is not None else None)
    if joint:
        reader.tokens = None
    parameters = [p for part in language + (before if joint else []) for p in part.parameters()]
    parameters += [] if probes is None else probes.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=peak, betas=(0.9, 0.98), weight_decay=0.03)
    asked, done = 0, 0
    losses: list[float] = []
    part = file.with_suffix(".part")
    if part.exists():
        state = torch.load(part)
        llava.load_state_dict(state["llava"])
        optimizer.load_state_dict(state["optimizer"])
        if probes is not None and state.get("probes"):
            probes.load_state_dict(state["probes"])
        done, asked = state["step"], state["asked"]
        # Not the draws of an uninterrupted run, but new ones.
        torch.manual_seed(3 + done)
        batches.rng = np.random.default_rng([done, 79])
    for step in range(done + 1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = progress.rate(step / (horizon or steps), peak)
        share = step / steps
        # Images before videos; the mean of the fused text over several frames at the end.
        pictures = still if still is not None else max(0.1, 0.85 - 2.5 * share)
        batch = batches.sample(
            fused if share < 0.75 else max(fused, 2),
            pictures,
            1 if only else QUESTIONS,
            probes is not None,
            2 * RECORDINGS if only else RECORDINGS,
        )
        with progress.products():
            hidden = reader.hidden(batch, noise=0.05)
        loss, _, _ = answer_loss(llava, hidden.float(), batch)
        seen_right: dict[str, float] = {}
        if probes is not None and batch.truth is not None and reader.watched is not None:
            watched, seen_right = timeline.loss(probes, reader.watched.float(), batch.truth, batch.counts > 0, counting)
            if reader.asked is not None:
                written = batch.target != -100
                times, near = timeline.asked_loss(probes, reader.asked[written].float(), batch.spans[written])
                watched, seen_right = watched + times, seen_right | near
            loss = 0.1 * loss + watched if only else loss + watch * watched
        if point:
            pointing, looked = pointing_loss(reader, batch)
            loss = loss + point * pointing
            seen_right |= looked
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        asked += sum(map(len, batch.kinds))
        losses.append(float(loss.detach()))
        if step % 50 == 0:
            log.write(name, step, {"loss": sum(losses[-50:]) / 50, "questions": asked, **seen_right})
        if step % every == 0:
            log.write(f"{name} held out", step, evaluate(tester, held_out, held_out.bank.entries[:96]))
            torch.save(
                {
                    "llava": llava.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                    "asked": asked,
                    "probes": None if probes is None else probes.state_dict(),
                },
                part,
            )
    result = evaluate(tester, held_out, held_out.bank.entries)
    log.write(f"{name} held out", steps, result)
    torch.save(llava.state_dict(), file)
    part.unlink(missing_ok=True)
    return result
