"""fer in an environment of its own."""
