"""Retrains parts of the bundled model: fewer or more pre-fusion layers, more tokens per frame, all patches.

    python -m longtake_training.train.ablation --model Models/nano --work out/ablation [--only NAME]

The compressor, projector and pre-fusion layers of each variant are trained from scratch, for the same number of steps
on the same images. Its language model starts as the bundled one and is tuned for the same number of steps on the same
recordings of 10 to 60 s, with one row per token for a run of equal frames. So the scores compare variants with each
other, not with the bundled model, which was trained for longer. Finished variants are kept in
Training/report/ablation.json and not repeated, as long as the bundled model stays the same.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from torch import Tensor

from longtake_training import arguments, paths
from longtake_training.evaluate.asking import fingerprint
from longtake_training.model.checkpoint import load
from longtake_training.model.clip import VisionTower
from longtake_training.model.llava_mini import FusionConfig, LlavaMini
from longtake_training.model.tokenizer import Tokenizer
from longtake_training.train import feature_bank
from longtake_training.train import fusion as fusion_stage
from longtake_training.train import language as language_stage
from longtake_training.train.feature_bank import Bank
from longtake_training.train.stages import Work

FUSION_STEPS, LANGUAGE_STEPS, STILLS, RECORDINGS = 300, 700, 20_000, 3_000
VARIANTS: dict[str, tuple[str, FusionConfig]] = {
    "prefusion 0": ("1 token, no pre-fusion layer", FusionConfig(prefusion_layers=0)),
    "prefusion 1": ("1 token, 1 pre-fusion layer", FusionConfig(prefusion_layers=1)),
    "prefusion 2": ("1 token, 2 pre-fusion layers (as bundled)", FusionConfig(prefusion_layers=2)),
    "prefusion 4": ("1 token, 4 pre-fusion layers", FusionConfig(prefusion_layers=4)),
    "tokens 4": ("4 tokens, 2 pre-fusion layers", FusionConfig(compressor_size=2)),
    "tokens 16": ("16 tokens, 2 pre-fusion layers", FusionConfig(compressor_size=4)),
    "all patches": ("36 patches, no compressor, no pre-fusion (LLaVA-1.5's way)", FusionConfig(prefusion_layers=0)),
}


class PatchReader(language_stage.Reader):
    """LLaVA-1.5: every projected patch is a visual token."""

    def visual(self, places: Tensor) -> Tensor:
        return self.llava.project(self.bank.patches[places].float())[0]


def run(work: Work, bundled: LlavaMini, tower: VisionTower, name: str, log_every: int = 10_000) -> dict[str, float]:
    pool = work.pool()
    features = work.features(tower)
    whole, held_out = work.banks(tower)
    short = [e for e in whole.entries if e.recording.duration <= 60][:RECORDINGS]
    recordings = feature_bank.joined(
        Bank(feature_bank.stills(pool, features).entries[:STILLS], features), Bank(short, whole.patches)
    )
    test = Bank([e for e in held_out.entries if e.recording.duration <= 60], held_out.patches)
    llava = work.llava(VARIANTS[name][1])
    patches = name == "all patches"
    figures: dict[str, float] = {}
    if not patches:
        figures = {
            f"read: {k}": v
            for k, v in fusion_stage.run(
                llava, pool, features, FUSION_STEPS, None, work.log, name=f"{name}: fusion"
            ).items()
        }
    own = llava.state_dict()
    same = {
        k: v
        for k, v in bundled.state_dict().items()
        if k.startswith(("model.layers", "model.norm", "model.embed", "lm_head"))
    }
    llava.load_state_dict(own | same)
    make = PatchReader if patches else language_stage.Reader
    batches = language_stage.Batches(recordings, work.tokenizer, 11)
    asked = language_stage.Batches(test, work.tokenizer, 12)
    batches.unroll = asked.unroll = 0
    reader, tester = make(llava, recordings, work.tokenizer), make(llava, test, work.tokenizer)
    file = work.folder / f"ablation-{name.replace(' ', '-')}.pt"
    # Without probes: with several tokens per frame a row is not a frame.
    result = language_stage.run(
        reader,
        batches,
        tester,
        asked,
        LANGUAGE_STEPS,
        file,
        work.log,
        peak=6e-4,
        joint=patches,
        name=name,
        every=log_every,
        still=0.25,
    )
    return figures | result


def main() -> None:
    parser = arguments.parser("train.ablation", __doc__)
    parser.add_argument("--model", type=Path, required=True, help="the bundled model")
    parser.add_argument("--work", type=Path, required=True, help="where images and recordings are kept")
    parser.add_argument("--report", type=Path, default=paths.REPORT)
    parser.add_argument("--only", choices=list(VARIANTS))
    options = parser.parse_args()
    options.report.mkdir(parents=True, exist_ok=True)
    file = options.report / "ablation.json"
    done = json.loads(file.read_text()) if file.exists() else {}
    weights = fingerprint(options.model)
    done = {name: figures for name, figures in done.items() if figures.get("weights") == weights}
    work = Work(options.work, 1.0)
    work.tokenizer = Tokenizer.from_folder(options.model)
    bundled, clip = load(options.model)
    tower = VisionTower(clip.vision_cfg, vision_model=clip.vision_model)
    tower.requires_grad_(False).eval()
    for name, (what, _) in VARIANTS.items():
        if name in done or (options.only and name != options.only):
            continue
        figures = run(work, bundled, tower, name)
        done[name] = {
            "variant": what,
            "weights": weights,
            "date": datetime.date.today().isoformat(),
            "fusion steps": 0 if name == "all patches" else FUSION_STEPS,
            "language steps": LANGUAGE_STEPS,
            **figures,
        }
        file.write_text(json.dumps(done, indent=1) + "\n")
        print(name, json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
