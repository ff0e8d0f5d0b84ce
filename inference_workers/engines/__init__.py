"""One file an engine, behind the two Protocols of :mod:`inference_workers.engines.protocols`."""
