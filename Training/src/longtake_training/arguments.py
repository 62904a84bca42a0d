"""The command lines of the modules that are run with `python -m`."""

from __future__ import annotations

import argparse
import importlib.util


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for a module, named without this package; its help has the module's docstring as it is."""
    return argparse.ArgumentParser(
        prog=f"python -m longtake_training.{module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def require(parser: argparse.ArgumentParser, package: str, requirement: str) -> None:
    """Ends with exit status 69 if a package is missing that only some modules need."""
    if importlib.util.find_spec(package) is None:
        parser.exit(69, f"{parser.prog}: {package} is missing; install it with: pip install '{requirement}'\n")


TRANSFORMERS = "transformers>=5.13,<6"
"""The releases that the oracles were written with."""
