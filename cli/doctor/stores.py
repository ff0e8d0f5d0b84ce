"""What is kept outside of Kafka: ClickHouse, the key store, fusion's recovery stores, disks."""

import asyncio
import shutil
import sqlite3
import stat
from pathlib import Path

import httpx

from analytics import runfile
from analytics.database import endpoint_of
from analytics.migrations import FOLDER
from analytics.state import ServerState, inspect
from cli.doctor.finding import Finding, ok, skipped
from runtime.errors import AffectstreamError, SettingsError
from runtime.keystore import NAME as KEY_STORE
from runtime.session_state import SharedState
from runtime.settings import Settings

GIB = 2**30
LITTLE_BYTES = 10 * GIB
TOO_LITTLE_BYTES = GIB


def check_disks(settings: Settings) -> list[Finding]:
    """The disks of ``data_dir`` and ``cache_dir``."""
    return [
        judge_disk(name, path, shutil.disk_usage(_existing(path)).free)
        for name, path in (("data disk", settings.data_dir), ("cache disk", settings.cache_dir))
    ]


def judge_disk(check: str, path: Path, free: int) -> Finding:
    """Whether there is room: recovery stores, ClickHouse and Kafka's log grow."""
    told = f"{free / GIB:.1f} GiB free at {path}"
    if free < TOO_LITTLE_BYTES:
        return Finding(check, "failure", told, "make room, or set AFFECTSTREAM_DATA_DIR to a larger disk")
    if free < LITTLE_BYTES and check == "data disk":
        return Finding(check, "warning", told, "see `affectstream plan` for what a day takes, and retention for less")
    return ok(check, told)


def check_keys(settings: Settings) -> Finding:
    """The key store: without it, media cannot be opened; with the wrong one, neither."""
    path = settings.data_dir / KEY_STORE
    if not path.exists():
        remedy = (
            "if roles run already elsewhere, their keys are missing here: edge, workers and analytics share data_dir"
        )
        return Finding("key store", "warning", f"{path} is not there: it is made when a role starts", remedy)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Finding("key store", "failure", f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            (health,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (sessions,) = connection.execute("SELECT count(DISTINCT digest) FROM keys").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        health, sessions = str(error), 0
    if health != "ok":
        remedy = (
            "restore it from a backup (docs/operations.md): sealed media of its sessions cannot be opened without it"
        )
        return Finding("key store", "failure", f"{path}: {health}", remedy)
    return ok("key store", f"keys of {sessions} session{'s' * (sessions != 1)}, sound")


def check_clickhouse(settings: Settings) -> Finding:
    """ClickHouse: the server, or the embedded engine by way of the role that owns it."""
    try:
        endpoint = endpoint_of(settings)
    except AffectstreamError as error:
        return Finding("clickhouse", "failure", str(error), "correct CLICKHOUSE_DSN")
    if endpoint.path is None:
        return _server(settings)
    running = runfile.read(settings.data_dir)
    if running is None:
        return skipped(
            "clickhouse", f"embedded, in {endpoint.path}; the analytics role, which owns it, does not run here"
        )
    try:
        answer = httpx.get(f"{running.url}/healthz", timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        remedy = "see the analytics role's log; start it anew"
        return Finding("clickhouse", "failure", f"the analytics role at {running.url} does not answer: {error}", remedy)
    if answer.status_code != httpx.codes.OK:
        remedy = "see the analytics role's log"
        return Finding("clickhouse", "failure", f"the analytics role says {answer.text[:200]}", remedy)
    return ok("clickhouse", f"embedded; the analytics role (process {running.pid}) answers")


def _server(settings: Settings) -> Finding:
    try:
        state = inspect(settings)
    except AffectstreamError as error:
        remedy = "start ClickHouse, or correct CLICKHOUSE_DSN: records wait in Kafka meanwhile, and nothing is lost"
        return Finding("clickhouse", "failure", str(error), remedy)
    return judge_server(state)


def judge_server(state: ServerState) -> Finding:
    """Whether the server has our tables, as we know them, and room for rows."""
    told = f"{state.version}, {state.applied} of {state.known} migrations, {state.free_bytes / GIB:.1f} GiB free"
    if state.problem:
        return Finding("clickhouse", "failure", f"{told}: {state.problem}", f"compare with {FOLDER}")
    if state.free_bytes < LITTLE_BYTES:
        return Finding("clickhouse", "warning", told, "make room, or shorten AFFECTSTREAM_RETENTION_DAYS")
    if state.applied < state.known:
        return Finding("clickhouse", "warning", told, "the analytics role applies the rest when it starts")
    return ok("clickhouse", told)


def check_redis(settings: Settings) -> Finding:
    """What edges share of sessions: several of them need it."""
    if not settings.redis_url:
        return skipped("redis", "none is configured: one edge only may run")
    try:
        away = asyncio.run(_redis_is_away(settings.redis_url))
    except SettingsError as error:
        return Finding("redis", "failure", str(error), "correct REDIS_URL")
    if away:
        remedy = "start it, or correct REDIS_URL: edges go on alone meanwhile, and sessions do not move between them"
        return Finding("redis", "failure", "it does not answer (REDIS_URL)", remedy)
    return ok("redis", "answers")


async def _redis_is_away(url: str) -> bool:
    state = SharedState(url)
    try:
        await state.owners(["doctor"])
        return state.away
    finally:
        await state.close()


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
