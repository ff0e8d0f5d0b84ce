"""What a session costs the service when its client analyses face and voice itself, and when it sends media."""
