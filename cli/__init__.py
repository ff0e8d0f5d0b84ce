"""The `affectstream` command. Composition only: each command's work is done elsewhere."""
