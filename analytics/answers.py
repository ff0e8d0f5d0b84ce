"""Answers of ClickHouse as JSON takes them: no NaN, floats to four digits behind the point."""

import math
from typing import Any

import orjson

from analytics.database import Client

Json = dict[str, Any]


def epoch_ms(instant: str) -> str:
    """The expression for an instant as milliseconds since the Unix epoch."""
    return f"toUnixTimestamp64Milli({instant})"


def number(value: Any) -> Any:
    """JSON knows no NaN: the mean of nothing is None."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [number(item) for item in value]
    return value


def one(client: Client, sql: str, **parameters: Any) -> Any:
    """The first value of the first row."""
    return client.query(sql, parameters=parameters).result_rows[0][0]


def as_dicts(client: Client, sql: str, **parameters: Any) -> list[Json]:
    """The answer row by row."""
    answer = client.query(sql, parameters=parameters)
    return [
        {name: number(value) for name, value in zip(answer.column_names, row, strict=True)}
        for row in answer.result_rows
    ]


def as_columns(client: Client, sql: str, **parameters: Any) -> dict[str, list[Any]]:
    """The answer as parallel lists."""
    answer = client.query(sql, parameters=parameters)
    if not answer.column_names:
        # An empty answer of the embedded engine does not name its columns in this form; in another it does.
        told = orjson.loads(client.raw_query(sql, parameters=parameters, fmt="JSONCompact"))
        return {column["name"]: [] for column in told["meta"]}
    return {name: [number(row[i]) for row in answer.result_rows] for i, name in enumerate(answer.column_names)}
