import pytest

from analytics.errors import QueryRefused
from analytics.statement import read_only


@pytest.mark.parametrize(
    "sql,clean",
    [
        ("SELECT 1", "SELECT 1"),
        (" select 1 ; ", "select 1"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "WITH x AS (SELECT 1) SELECT * FROM x"),
        ("(SELECT 1) UNION ALL (SELECT 2)", "(SELECT 1) UNION ALL (SELECT 2)"),
        ("SELECT 'a;b -- INTO OUTFILE' -- comment", "SELECT 'a;b -- INTO OUTFILE'"),
        ("SELECT /* INTO OUTFILE */ 'it''s', 'a\\'b'", "SELECT   'it''s', 'a\\'b'"),
        ('SELECT "FORMAT", `OUTFILE` FROM t;', 'SELECT "FORMAT", `OUTFILE` FROM t'),
    ],
)
def test_one_select_passes(sql, clean):
    assert read_only(sql) == clean


@pytest.mark.parametrize(
    "sql,reason",
    [
        ("", "only SELECT"),
        ("DROP TABLE frames", "only SELECT"),
        ("INSERT INTO t SELECT 1", "only SELECT"),
        ("SET readonly = 0", "only SELECT"),
        ("SELECT 1; DROP TABLE frames", "one statement"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", "files cannot be written"),
        ("SELECT 1 INTO/**/OUTFILE '/tmp/x'", "files cannot be written"),
        ("SELECT 1 FORMAT CSV", "format is chosen"),
        ("SELECT 'open", "not closed"),
        ("SELECT 1 /* open", "not closed"),
        ("SELECT $a$ x $a$", "single quotes"),
        ("WITH 1 AS x INSERT INTO t SELECT x", "only SELECT"),
        ("SELECT " + "1," * 20_000 + "1", "at most"),
    ],
)
def test_everything_else_is_refused(sql, reason):
    with pytest.raises(QueryRefused, match=reason):
        read_only(sql)
