import pytest

from analytics.database import endpoint_of, parse_dsn
from runtime.errors import SettingsError
from runtime.settings import Settings


def test_a_full_dsn():
    found = parse_dsn("clickhouse://ana:p%40ss%2Fword@ch.example:8124/telemetry")
    assert (found.host, found.port, found.username, found.password) == ("ch.example", 8124, "ana", "p@ss/word")
    assert (found.database, found.secure, found.path) == ("telemetry", False, None)


@pytest.mark.parametrize(
    "dsn,port,secure",
    [
        ("clickhouse://h", 8123, False),
        ("http://h", 8123, False),
        ("clickhouses://h", 8443, True),
        ("https://h:9999", 9999, True),
        ("clickhouse://h:8443", 8443, True),
        ("clickhouse://h?secure=true", 8443, True),
    ],
)
def test_tls_and_ports(dsn, port, secure):
    found = parse_dsn(dsn)
    assert (found.port, found.secure, found.database) == (port, secure, "affectstream")


def test_tls_options_are_handed_on():
    assert parse_dsn("https://h/d?ca_cert=/ca.pem&verify=true").options == {"ca_cert": "/ca.pem", "verify": "true"}


@pytest.mark.parametrize(
    "dsn,reason",
    [
        ("mysql://h", "scheme"),
        ("h:8123", "scheme"),
        ("clickhouse:///db", "no host"),
        ("clickhouse://h:port", "CLICKHOUSE_DSN"),
        ("clickhouse://h:9000", "native protocol"),
        ("clickhouse://h/?compressed=1", "unknown option compressed"),
        ("clickhouse://h/a/b", "cannot be a database"),
    ],
)
def test_a_bad_dsn_says_what_is_wrong(dsn, reason):
    with pytest.raises(SettingsError, match=reason):
        parse_dsn(dsn)


def test_no_secret_in_what_people_read():
    found = parse_dsn("clickhouse://ana:hidden@h/d")
    assert "hidden" not in repr(found) + found.describe()


def test_without_a_dsn_the_engine_is_embedded_in_the_data_folder(tmp_path):
    assert endpoint_of(Settings(data_dir=tmp_path)).path == tmp_path / "clickhouse"
    assert endpoint_of(Settings(clickhouse_dsn="clickhouse://h")).path is None
