import pytest

from runtime.origins import origin_allowed


@pytest.mark.parametrize(
    "origin, host, allowed, own, expected",
    [
        (None, "a.example", "", (), True),
        ("https://a.example", "a.example", "", (), True),
        ("https://a.example:443", "a.example", "", (), True),
        ("http://a.example", "a.example:8080", "", (), False),
        ("https://b.example", "a.example", "", (), False),
        ("http://localhost:8080", "127.0.0.1:8080", "", (), True),
        ("http://127.0.0.1:8080", "127.0.0.1:9090", "", ("http://localhost:8080/",), True),
        ("http://127.0.0.1:8080", "127.0.0.1:9090", "", ("",), False),
        ("null", "a.example", "", (), False),
        ("file://", "a.example", "", (), False),
        ("http://a.example:99999", "a.example", "", (), False),
        ("https://b.example", "a.example", "https://c.example, https://b.example", (), True),
        ("https://a.example", "a.example", "https://b.example", (), False),
        ("https://anything.example", "a.example", "*", (), True),
    ],
)
def test_pages_that_may_connect(origin, host, allowed, own, expected):
    assert origin_allowed(origin, host, allowed, own) is expected
