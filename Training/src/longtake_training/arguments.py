"""The command lines of the modules that are run with `python -m`."""

from __future__ import annotations

import argparse


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for a module, named without this package; its help has the module's docstring as it is."""
    return argparse.ArgumentParser(
        prog=f"python -m longtake_training.{module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
