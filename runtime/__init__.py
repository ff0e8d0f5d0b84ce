"""What every process shares: settings, clock, Kafka, metrics, logs, errors, tokens, lifecycle. Imports only schemas."""
