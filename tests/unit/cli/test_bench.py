import pytest

from cli.bench import _known, _numbers
from runtime.errors import SettingsError


def test_sizes():
    assert _numbers("1000,10,10") == (10, 1000)
    for text in ("", "ten", "0,5"):
        with pytest.raises(SettingsError, match="--sessions"):
            _numbers(text)


def test_peers():
    assert _known("none", ("a", "b")) == ()
    assert _known("b,a", ("a", "b")) == ("b", "a")
    with pytest.raises(SettingsError, match="unknown c"):
        _known("a,c", ("a", "b"))
