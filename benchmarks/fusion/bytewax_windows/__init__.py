"""Stock Bytewax windowing operators."""
