"""deepface in an environment of its own."""
