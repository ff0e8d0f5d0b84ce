"""``affectstream egress vmc`` as a process of its own, a real egress, a real broker, and a receiver of OSC."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

from cli.vmc import Mouthpiece, Sent, avatar_url, parse_target
from runtime.clock import SystemClock
from runtime.errors import AffectstreamError
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens
from schemas.vocabulary import BLENDSHAPES
from tests.support.edges import egress, ingest
from tests.support.frames import FramePublisher
from tests.support.prerequisites import REPOSITORY
from tests.support.processes import free_port
from tests.support.waiting import eventually


class Marionette:
    """A VMC receiver, as an avatar program has one."""

    def __init__(self) -> None:
        dispatcher = Dispatcher()
        dispatcher.set_default_handler(self._take)
        # One datagram after the other: the order of a frame's messages is part of the protocol.
        self.server = BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher)
        self.messages: list[tuple[Any, ...]] = []

    def _take(self, address: str, *values: Any) -> None:
        self.messages.append((address, *values))

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def applied(self) -> int:
        return sum(message[0] == "/VMC/Ext/Blend/Apply" for message in self.messages)


@contextmanager
def marionette() -> Iterator[Marionette]:
    receiver = Marionette()
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join(10)


class Command:
    """The command line, running."""

    def __init__(self, log: Path, token: str, *options: str) -> None:
        self.log_path = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "egress", "vmc", "--session", "s1", *options],
                env={**os.environ, "SESSION_TOKEN": token},
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    def says(self, text: str) -> None:
        eventually(lambda: text in self.log(), deadline_s=60, what=lambda: f"{text!r} in\n{self.log()}")

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def command(log: Path, token: str, *options: str) -> Iterator[Command]:
    running = Command(log, token, *options)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def token(settings: Settings, session_id: str = "s1", scope: Any = "watch") -> str:
    now_s = int(time.time())
    return Tokens(settings.token_key).issue(
        Grant(session_id, "default", frozenset({scope}), now_s + 600), issued_at_s=now_s
    )


def test_an_avatar_program_follows_a_session_over_a_restart(settings: Settings, tmp_path: Path) -> None:
    publisher = FramePublisher(settings, SystemClock())
    own = settings.model_copy(update={"port": free_port()})
    with marionette() as receiver:
        options = ["--to", f"127.0.0.1:{receiver.port}", "--egress-url", f"ws://127.0.0.1:{own.port}"]
        with command(tmp_path / "log", token(settings), *options) as running:
            with egress(own):
                running.says("watching the session")
                publisher.publish("s1", 30, 31, 32)
                eventually(lambda: receiver.applied() >= 3, deadline_s=30, what="three frames applied")
                first = [*receiver.messages]
            with egress(own):
                running.says("watching again after a break")
                publisher.publish("s1", 33, 34)
                eventually(
                    lambda: any(m[0] == "/VMC/Ext/T" and m[1] > 0.05 for m in receiver.messages[len(first) :]),
                    deadline_s=30,
                    what="a frame after the restart",
                )
                assert running.end() == 0
        assert " frames in " in running.log()

    assert first[0][:4] == ("/VMC/Ext/OK", 1, 3, 0)  # at rest (0) first, if frames came late
    assert ("/VMC/Ext/OK", 1, 3, 0, 1) in first
    told = {message[1]: message[2] for message in first if message[0] == "/VMC/Ext/Blend/Val"}
    assert tuple(told) == BLENDSHAPES
    assert told["mouthSmileLeft"] == pytest.approx(0.8, abs=1e-3)
    assert {message[1] for message in first if message[0] == "/VMC/Ext/Bone/Pos"} == {"Spine", "Neck", "Head"}
    assert next(m for m in first if m[0] == "/VMC/Ext/Root/Pos")[1] == "root"


def test_the_edge_says_where_to_watch(settings: Settings, tmp_path: Path) -> None:
    publisher = FramePublisher(settings, SystemClock())
    with marionette() as receiver, egress(settings) as frames:
        asked = settings.model_copy(update={"public_egress_url": frames.url})
        with ingest(asked) as edge:
            options = ["--to", f"127.0.0.1:{receiver.port}", "--url", edge.url, "--names", "perfect-sync"]
            with command(tmp_path / "log", token(settings), *options) as running:
                running.says("watching the session")
                publisher.publish("s1", 7)
                eventually(receiver.applied, deadline_s=30, what="a frame applied")
                assert running.end(signal.SIGTERM) == 0
    assert "MouthSmileLeft" in {message[1] for message in receiver.messages if message[0] == "/VMC/Ext/Blend/Val"}


def test_a_session_that_may_not_be_watched_is_one_line(settings: Settings, tmp_path: Path) -> None:
    with egress(settings) as frames:
        for shown in (token(settings, "another"), token(settings, scope="audio"), "nonsense"):
            options = ["--to", "127.0.0.1", "--egress-url", frames.url]
            with command(tmp_path / "log", shown, *options) as running:
                assert running.process.wait(60) == 2
            assert "session s1 cannot be watched" in running.log()
            assert "Traceback" not in running.log()


@pytest.mark.parametrize("edge", ["http://127.0.0.1:1", "not an address", "http://"])
def test_an_edge_that_does_not_answer_is_named(edge: str) -> None:
    with pytest.raises(AffectstreamError, match="--egress-url"):
        avatar_url("s1", edge=edge, egress=None)


def test_a_port_where_nobody_listens_is_said_once() -> None:
    said: list[str] = []
    sent = Sent()
    mouthpiece = Mouthpiece(parse_target(f"127.0.0.1:{free_port()}"), sent, said.append)
    try:
        mouthpiece.send([b"x"] * 6)
    finally:
        mouthpiece.close()
    assert sent.unheard >= 1
    assert sent.unheard + sent.datagrams == 6
    assert len(said) == 1
    assert "nobody listens" in said[0]
