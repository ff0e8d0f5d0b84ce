"""Erasing sessions from every store, and proving it."""
