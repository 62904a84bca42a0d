"""The stages of training the bundled model from scratch. A finished stage is kept in the work folder and not repeated.

| stage            | trained parameters                                  | loss                                        |
|------------------|-----------------------------------------------------|---------------------------------------------|
| tower            | vision tower                                        | dense labels per patch                      |
| fusion           | compressor, projector, pre-fusion                   | linear probes read the image from one token |
| language         | language model                                      | answers                                     |
| fusion-language  | compressor, projector, pre-fusion, language model   | answers                                     |
| timeline         | language model                                      | dense labels per second                     |
| binding          | language model                                      | answers, labels; 70 % still images          |
| binding-in-time  | language model                                      | answers, labels; 30 % still images          |
| order            | language model                                      | answers, labels; 10 % still images          |
| attention-warmup | language model                                      | the same, and where two heads attend        |
| attention        | language model                                      | the same with a schedule of its own         |
| hard-questions   | language model                                      | the same, more of what was wrong most often |
| compression      | compressor                                          | where it attends; the rows after it stay    |
| contrastive      | text tower, last vision layer, projections          | image–text pairs                            |

The files of a stage in the work folder are NAME.pt (weights), NAME.part (an unfinished stage) and NAME.done.
"""

from __future__ import annotations

from pathlib import Path

import torch

from longtake_training.model.clip import ClipModel, TextConfig, VisionConfig, VisionTower
from longtake_training.model.llava_mini import FusionConfig, LanguageConfig, LlavaMini
from longtake_training.model.tokenizer import ClipTokenizer, Tokenizer, build, build_clip
from longtake_training.train import compression as compression_stage
from longtake_training.train import contrastive as contrastive_stage
from longtake_training.train import feature_bank, progress, timeline
from longtake_training.train import fusion as fusion_stage
from longtake_training.train import language as language_stage
from longtake_training.train import tower as tower_stage
from longtake_training.world import image_pool, questions

STEPS = {
    "tower": 2400,
    "fusion": 700,
    "language": 4000,
    "fusion-language": 1000,
    "timeline": 1200,
    "binding": 2000,
    "binding-in-time": 1500,
    "order": 4200,
    "attention-warmup": 1000,
    "attention": 10_000,
    "hard-questions": 5000,
    "compression": 600,
    "contrastive": 2500,
}
LAST = "hard-questions"
"""The language model's last stage."""
WIDE = {"attention-warmup", "attention", "hard-questions"}
"""Stages with more recordings."""
FORMER_NAMES = {
    "joint": "fusion-language",
    "again": "binding-in-time",
    "pointing": "attention-warmup",
    "topic": "attention",
    "last": "hard-questions",
    "clip": "contrastive",
}
"""Stages that had another name: old to new. Work folders and logs from before are still read."""
PICTURES, RECORDINGS, MORE, HELD_OUT = 80_000, 9_000, 18_000, 320
LONGEST = 90_000
SEEDS = {"pictures": 1, "recordings": 1, "more recordings": 100_001, "held out": 500_001, "torch": 20_250_103}


def vision_config() -> VisionConfig:
    return VisionConfig()


def language_config(tokenizer: Tokenizer) -> LanguageConfig:
    return LanguageConfig(vocab=tokenizer.vocab_size, layers=5, kv_heads=6)


def tokenizers(folder: Path) -> tuple[Tokenizer, ClipTokenizer]:
    """Reads both tokenizers, which are built from the texts the first time."""
    for name, make in [("tokenizer", lambda t: build(t, 640)), ("clip_tokenizer", lambda t: build_clip(t, 1024))]:
        if not (folder / name / "tokenizer.json").exists():
            (folder / name).mkdir(parents=True, exist_ok=True)
            for file, text in make(questions.all_texts()).items():
                (folder / name / file).write_text(text)
    return Tokenizer.from_folder(folder / "tokenizer"), ClipTokenizer.from_folder(folder / "clip_tokenizer")


class Work:
    """The work folder with finished stages, and the models and data made from it."""

    def __init__(self, folder: Path, scale: float) -> None:
        self.folder, self.scale = folder, scale
        self.rename_stages()
        self.log = progress.Log(folder / "log.jsonl")
        self.tokenizer, self.clip_tokenizer = tokenizers(folder)
        torch.manual_seed(SEEDS["torch"])
        self.pool_: image_pool.Pool | None = None

    def rename_stages(self) -> None:
        """Gives the files of `FORMER_NAMES` their new names."""
        for old, new in FORMER_NAMES.items():
            for suffix in (".pt", ".part", ".done"):
                file = self.folder / (old + suffix)
                if file.exists():
                    file.rename(self.folder / (new + suffix))

    def steps(self, stage: str) -> int:
        return max(1, round(STEPS[stage] * self.scale))

    def done(self, stage: str) -> bool:
        return (self.folder / f"{stage}.done").exists()

    def finish(self, stage: str) -> None:
        (self.folder / f"{stage}.done").touch()

    def pool(self) -> image_pool.Pool:
        if self.pool_ is None:
            self.pool_ = image_pool.pool(PICTURES, SEEDS["pictures"], self.folder / "pool.pt")
        return self.pool_

    def tower(self) -> VisionTower:
        tower = VisionTower(vision_config())
        file = self.folder / "tower.pt"
        if not self.done("tower"):
            heads = tower_stage.DenseHeads(tower.cfg.width)
            tower_stage.run(tower, heads, self.pool(), self.steps("tower"), file, self.log)
            self.finish("tower")
        tower.load_state_dict(torch.load(file)["tower"])
        return tower.requires_grad_(False).eval()

    def features(self, tower: VisionTower) -> torch.Tensor:
        file = self.folder / "features.pt"
        if not file.exists():
            torch.save(fusion_stage.features(tower, self.pool()), file)
        return torch.load(file)

    def llava(self, fusion: FusionConfig | None = None) -> LlavaMini:
        llava = LlavaMini(language_config(self.tokenizer), fusion or FusionConfig())
        torch.nn.init.normal_(llava.model.embed_tokens.weight, std=1.5)
        return llava

    def fused(self, tower: VisionTower) -> LlavaMini:
        llava, file = self.llava(), self.folder / "fusion.pt"
        if not self.done("fusion"):
            fusion_stage.run(llava, self.pool(), self.features(tower), self.steps("fusion"), file, self.log)
            self.finish("fusion")
        llava.load_state_dict(torch.load(file))
        return llava

    def bank(self, name: str, count: int, tower: VisionTower) -> feature_bank.Bank:
        file = self.folder / f"bank-{name.replace(' ', '-')}.pt"
        if not file.exists():
            torch.save(feature_bank.build(count, SEEDS[name], LONGEST, tower), file)
        return feature_bank.load(file)

    def banks(self, tower: VisionTower) -> tuple[feature_bank.Bank, feature_bank.Bank]:
        return self.bank("recordings", RECORDINGS, tower), self.bank("held out", HELD_OUT, tower)

    def language(self, tower: VisionTower, until: str | None = None) -> LlavaMini:
        """Runs the language model's stages, up to and including `until`."""
        llava = self.fused(tower)
        if until is None and self.done(LAST):
            llava.load_state_dict(torch.load(self.folder / f"{LAST}.pt"))
            return llava
        recordings, held_out = self.banks(tower)
        recordings = feature_bank.joined(feature_bank.stills(self.pool(), self.features(tower)), recordings)
        batches = language_stage.Batches(recordings, self.tokenizer, 1)
        test = language_stage.Batches(held_out, self.tokenizer, 2)
        reader = language_stage.Reader(llava, recordings, self.tokenizer)
        tester = language_stage.Reader(llava, held_out, self.tokenizer)
        probes = timeline.Probes(llava.language.width)
        more = {"probes": probes, "still": 0.1}
        plans: dict[str, dict] = {
            "language": {},
            "fusion-language": {"joint": True, "peak": 4e-4, "still": 0.1},
            "timeline": {"only": True, **more},
            "binding": {**more, "still": 0.7, "watch": 0.1},
            "binding-in-time": {**more, "still": 0.3, "watch": 0.15},
            "order": {**more, "watch": 0.15},
            "attention-warmup": {**more, "watch": 0.15, "point": 0.2, "horizon": 12_000},
            "attention": {**more, "watch": 0.15, "point": 0.2},
            "hard-questions": {
                **more,
                "still": 0.05,
                "watch": 0.15,
                "point": 0.2,
                "peak": 8e-4,
                "weights": language_stage.HARDEST,
                "counting": 4,
            },
        }
        wide = False
        for stage, plan in plans.items():
            file = self.folder / f"{stage}.pt"
            if not self.done(stage):
                if stage in WIDE and not wide:
                    # A new generator, also in a resumed run: the stage must not repeat the draws of the one before.
                    wide = True
                    recordings = feature_bank.joined(recordings, self.bank("more recordings", MORE, tower))
                    batches = language_stage.Batches(recordings, self.tokenizer, 4 if stage == LAST else 3)
                    reader = language_stage.Reader(llava, recordings, self.tokenizer)
                language_stage.run(reader, batches, tester, test, self.steps(stage), file, self.log, name=stage, **plan)
                torch.save(probes.state_dict(), self.folder / "probes.pt")
                self.finish(stage)
            elif plan.get("probes"):
                known = torch.load(self.folder / "probes.pt")
                probes.load_state_dict(
                    {
                        k: v if known.get(k) is None or known[k].shape != v.shape else known[k]
                        for k, v in probes.state_dict().items()
                    }
                )
            llava.load_state_dict(torch.load(file))
            reader.tokens = None if plan.get("joint") else reader.tokens
            if stage == until:
                break
        return llava

    def compressed(self, tower: VisionTower, llava: LlavaMini) -> LlavaMini:
        """The finished language model with a compressor that attends to the things."""
        file = self.folder / "compression.pt"
        if not self.done("compression"):
            pool, features = self.pool(), self.features(tower)
            compression_stage.run(llava, pool, features, self.tokenizer, self.steps("compression"), file, self.log)
            self.finish("compression")
        llava.load_state_dict(torch.load(file))
        return llava

    def clip(self, tower: VisionTower) -> ClipModel:
        text = TextConfig(
            vocab=self.clip_tokenizer.vocab_size, eos_id=self.clip_tokenizer.end_id, context=self.clip_tokenizer.context
        )
        clip, file = ClipModel(vision_config(), text), self.folder / "contrastive.pt"
        clip.vision_model.load_state_dict(tower.vision_model.state_dict())
        if not self.done("contrastive"):
            contrastive_stage.run(clip, self.pool(), self.clip_tokenizer, self.steps("contrastive"), file, self.log)
            self.finish("contrastive")
        clip.load_state_dict(torch.load(file))
        return clip
