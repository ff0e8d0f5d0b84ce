"""Measurements against the design's figures, and the peers that do the same work."""
