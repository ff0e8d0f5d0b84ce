import pytest

from analytics.errors import MigrationError
from analytics.migrations import Applied, plan, read_migrations, split_statements


def test_the_shipped_files_are_numbered_and_have_statements():
    found = read_migrations()
    assert [m.number for m in found] == list(range(1, len(found) + 1))
    assert all(
        statement.upper().startswith(("CREATE ", "ALTER ", "DROP VIEW ")) for m in found for statement in m.statements
    )


def test_statements_end_at_semicolons_that_end_a_line():
    text = "-- a comment;\nCREATE TABLE a (x String COMMENT 'one; two');\n\nCREATE TABLE b\n(y Int8);  \n"
    assert split_statements(text) == ("CREATE TABLE a (x String COMMENT 'one; two')", "CREATE TABLE b\n(y Int8)")


@pytest.mark.parametrize("names", [["0001_a.sql", "0003_c.sql"], ["0002_a.sql"], ["0001_a.sql", "0001_b.sql"]])
def test_gaps_and_doubles_are_errors(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("SELECT 1;\n")
    with pytest.raises(MigrationError, match="without gap or double"):
        read_migrations(tmp_path)


def test_a_misnamed_file_is_an_error(tmp_path):
    (tmp_path / "first.sql").write_text("SELECT 1;\n")
    with pytest.raises(MigrationError, match=r"first\.sql"):
        read_migrations(tmp_path)


@pytest.fixture
def two(tmp_path):
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a (x Int8);\n")
    (tmp_path / "0002_b.sql").write_text("CREATE TABLE b (x Int8);\nCREATE TABLE c (x Int8);\n")
    return read_migrations(tmp_path)


def applied(migration, statements=None, finished=True, sha256=None) -> Applied:
    done = len(migration.statements) if statements is None else statements
    return Applied(migration.name, sha256 or migration.sha256, done, finished)


def test_what_is_applied_is_left_alone_and_what_was_cut_short_goes_on(two):
    first, second = two
    assert plan(two, {}) == [(first, 0), (second, 0)]
    assert plan(two, {1: applied(first)}) == [(second, 0)]
    assert plan(two, {1: applied(first), 2: applied(second, statements=1, finished=False)}) == [(second, 1)]
    assert plan(two, {1: applied(first), 2: applied(second)}) == []


def test_a_changed_file_is_an_error(two):
    with pytest.raises(MigrationError, match=r"0001_a\.sql was changed after it had been applied"):
        plan(two, {1: applied(two[0], sha256="0" * 64)})


def test_a_newer_database_is_an_error(two):
    with pytest.raises(MigrationError, match="does not know: upgrade"):
        plan(two[:1], {1: applied(two[0]), 2: applied(two[1])})
