"""Speech without I/O: the audio timeline, acoustic features, voice activity, visemes and emotion of a session."""
