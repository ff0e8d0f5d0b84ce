"""MediaPipe's own Python package, doing the face worker's work: see __main__."""
