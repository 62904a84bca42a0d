"""Trains, evaluates and checks Longtake's bundled model. Each folder has one task; run modules with `python -m`."""
