"""The floor: Kafka's client alone."""
