"""Kafka Streams' windowed DSL."""
