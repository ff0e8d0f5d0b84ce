"""Settings from the environment."""

from pathlib import Path

import pytest

from runtime.errors import SettingsError
from runtime.settings import Settings


def test_defaults_work_without_any_variable():
    settings = Settings.from_env({"HOME": "/somewhere", "PATH": "/bin"})
    assert settings.kafka_bootstrap_servers == "127.0.0.1:9092"
    assert settings.clickhouse_dsn == ""
    assert settings.topic("signals") == "signals"


def test_variables_and_overrides():
    settings = Settings.from_env(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
            "AFFECTSTREAM_PARTITIONS": "12",
            "AFFECTSTREAM_TOPIC_PREFIX": "t1.",
            "AFFECTSTREAM_CACHE_DIR": "/c",
        },
        port=8080,
        metrics_port=None,
    )
    assert settings.kafka_bootstrap_servers == "a:1,b:2"
    assert settings.partitions == 12
    assert settings.topic("avatar.frames") == "t1.avatar.frames"
    assert settings.cache_dir == Path("/c")
    assert (settings.port, settings.metrics_port) == (8080, 0)


@pytest.mark.parametrize(
    "environ,said",
    [
        ({"AFFECTSTREAM_PARTITIONS": "many"}, "AFFECTSTREAM_PARTITIONS"),
        ({"AFFECTSTREAM_PARTITIONS": "0"}, "AFFECTSTREAM_PARTITIONS"),
        ({"AFFECTSTREAM_PORT": "70000"}, "AFFECTSTREAM_PORT"),
        ({"AFFECTSTREAM_TOPIC_PREFIX": "a b"}, "AFFECTSTREAM_TOPIC_PREFIX"),
        ({"AFFECTSTREAM_TOKEN_KEY": "short"}, "AFFECTSTREAM_TOKEN_KEY"),
        ({"AFFECTSTREAM_TOKEN_KEY": f"{'k' * 32},short"}, "key 2"),
        ({"AFFECTSTREAM_TRUSTED_PROXIES": "elsewhere"}, "AFFECTSTREAM_TRUSTED_PROXIES"),
        ({"AFFECTSTREAM_PARTITONS": "3"}, "AFFECTSTREAM_PARTITONS"),
    ],
)
def test_what_cannot_be_used_is_named(environ, said):
    with pytest.raises(SettingsError, match=said):
        Settings.from_env(environ)


def test_a_child_gets_the_same_settings_through_its_environment():
    settings = Settings.from_env({"CLICKHOUSE_DSN": "clickhouse://x", "AFFECTSTREAM_INSTANCE": "7"}, port=9)
    assert Settings.from_env(settings.to_env()) == settings


def test_the_signing_key_is_not_printed():
    settings = Settings.from_env({"AFFECTSTREAM_TOKEN_KEY": "k" * 40})
    assert "k" * 40 not in repr(settings)


def test_a_hang_is_a_second_unless_a_gpu_may_compile_meanwhile():
    assert Settings().hang_limit_s == 1.0
    assert Settings(onnx_providers="tensorrt,cuda,cpu").hang_limit_s == 30.0
    assert Settings(onnx_providers="cuda,cpu", engine_hang_s=5).hang_limit_s == 5.0
