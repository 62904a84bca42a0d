"""Time and memory of the program with long recordings. Imports the standard library only."""
