"""hsemotion in an environment of its own."""
