"""How commands print and write what analytics answers."""

from enum import StrEnum


class OutputFormat(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class FileFormat(StrEnum):
    """What files are written."""

    PARQUET = "parquet"
    ARROW = "arrow"
