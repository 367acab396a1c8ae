"""What a text may hold: characters that databases store, and characters that a terminal shows."""
