"""What a user would run instead: one script per peer, each prints one JSON object."""
