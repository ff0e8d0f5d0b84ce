"""How fast records become rows, how small the rows are, and how fast analysts' questions are answered."""
