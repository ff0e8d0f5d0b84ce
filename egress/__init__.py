"""Relays avatar frames to clients."""
