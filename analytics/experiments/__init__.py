"""Experiments: metrics, statistics, fairness, the report. Everything here but `rows` is pure."""
