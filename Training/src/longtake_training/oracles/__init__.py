"""Comparisons of the program, the PyTorch model and the reference implementation with each other."""
