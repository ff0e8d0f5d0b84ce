"""Quix Streams' windows."""
