"""Measures the built program on long recordings: latency, bytes, memory, and work repeated after a kill.

    python -m longtake_training.measure latency                 the demo's 3 hours, the bundled model; a minute
    python -m longtake_training.measure full-size --model DIR   3 hours of random records, 8B shape; 10 to 40 minutes
    python -m longtake_training.measure day                     24 hours, killed at hour 20; 15 minutes
    python -m longtake_training.measure bench                   `longtake bench` beside its peers, docs/performance.md

Needs the standard library only. Run it from the project's folder after `make build`; it writes to out/.
"""

from __future__ import annotations

from pathlib import Path

from longtake_training import arguments
from longtake_training.measure.bench import bench
from longtake_training.measure.day import day
from longtake_training.measure.full_size import full_size
from longtake_training.measure.latency import latency


def main() -> None:
    parser = arguments.parser("measure", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("latency").set_defaults(function=latency)
    sub = commands.add_parser("full-size")
    sub.set_defaults(function=full_size)
    sub.add_argument("--model", type=Path, required=True)
    sub.add_argument("--work", type=Path, default=Path("out/full-size"))
    sub.add_argument("--frames", type=int, default=10_800)
    sub.add_argument("--questions", type=int, default=4, help="number of questions asked, 1 to 4")
    sub.add_argument("--records", choices=["patches", "tokens"], default="patches", help="what each frame keeps")
    sub.add_argument(
        "--keep", action="store_true", help="leave the index there; the next run then asks it again, in two minutes"
    )
    commands.add_parser("day").set_defaults(function=day)
    sub = commands.add_parser("bench")
    sub.set_defaults(function=bench)
    sub.add_argument("--runs", type=int, default=5)
    sub.add_argument("--limit", type=int, default=900, help="seconds after which a peer is given up")
    sub.add_argument("--quick", action="store_true", help="leave the full shape out")
    sub.add_argument("--only", default="", help="regular expression of the rows to measure; the others stay")
    sub.add_argument("--no-peers", action="store_true")
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
