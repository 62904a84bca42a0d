"""The generated world: its scenes, the questions about them with their answers, and its recordings as video files."""
