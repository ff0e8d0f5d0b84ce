"""Rows in ClickHouse, what analysts read of them, and reports. The one home of clickhouse_connect."""
