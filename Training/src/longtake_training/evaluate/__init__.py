"""Asks the program about recordings of the test split and counts right answers."""
