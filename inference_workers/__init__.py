"""The face worker and the speech worker: consume media, micro-batch, infer, publish signals."""
