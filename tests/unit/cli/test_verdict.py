import pytest

from cli.verdict import compare


def counted(partitions: list[dict[str, int]], rows: int, distinct: int | None = None, unreadable: int = 0):
    return {
        "topics": {
            "signals": {
                "rows": rows,
                "distinct": rows if distinct is None else distinct,
                "unreadable": unreadable,
                "partitions": partitions,
            }
        }
    }


def partition(number: int, next_offset: int, first_offset: int = 0):
    return {"partition": number, "first_offset": first_offset, "next_offset": next_offset}


@pytest.mark.parametrize(
    "counts,complete",
    [
        (counted([partition(0, 10), partition(1, 5)], 15), True),
        (counted([partition(0, 10), partition(1, 5)], 14, unreadable=1), True),
        (counted([partition(0, 10), partition(1, 4)], 14), False),  # not at the end
        (counted([partition(0, 10), partition(1, 5)], 14), False),  # a row is lost
        (counted([partition(0, 10), partition(1, 5)], 15, distinct=14), False),  # a row is doubled
        (counted([partition(0, 10)], 10), False),  # a partition that was never taken
        ({"topics": {}}, False),
    ],
)
def test_complete_means_every_record_is_exactly_one_row(counts, complete):
    verdict = compare(counts, {"signals": {0: (0, 10), 1: (0, 5)}})["signals"]
    assert verdict.complete is complete


def test_partitions_without_records_need_no_row():
    assert compare(counted([partition(0, 10)], 10), {"signals": {0: (0, 10), 1: (0, 0)}})["signals"].complete


def test_what_kafka_has_deleted_meanwhile_counts_from_where_the_sink_began():
    verdict = compare(counted([partition(0, 10, first_offset=2)], 8), {"signals": {0: (6, 10)}})["signals"]
    assert verdict.complete
    assert verdict.records == 8
