"""What one session costs each role, Kafka and its log: the figures that `affectstream plan` multiplies."""
