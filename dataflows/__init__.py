"""Fusion: signals in, avatar frames out, exactly."""
