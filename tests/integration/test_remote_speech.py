"""The remote speech engine against real HTTP servers: ours with the embedded engine, and some that misbehave."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import pytest

from inference_workers import models
from inference_workers.engines import choice
from inference_workers.engines.remote_speech import RemoteEngineError, RemoteSpeech
from inference_workers.speech_contract import ANSWER_BYTES, PATH, REQUEST_BYTES
from runtime.errors import SettingsError
from runtime.lifecycle import die_with_parent
from runtime.settings import Settings
from schemas.records import Signal
from schemas.topics import SIGNALS
from tests.support.edges import log_of
from tests.support.microphones import Microphones
from tests.support.prerequisites import REPOSITORY, cache_dir, required
from tests.support.processes import free_port, running
from tests.support.voices import FORMANTS_HZ, noise, sample_speech, silence, vowel
from tests.support.waiting import eventually

WINDOWS = [vowel(1.0, FORMANTS_HZ["aa"]), noise(1.0, 100, 7_000, 0.1), silence(1.0)]


class Server:
    """``affectstream models serve`` as a process, which can be frozen, killed, and started again on its port."""

    def __init__(self, tmp_path, token=""):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = tmp_path / "server.log"
        settings = Settings(cache_dir=cache_dir(), data_dir=tmp_path, speech_token=token)
        self._environment = {**os.environ, **settings.to_env(), "PYTHONPATH": str(REPOSITORY)}
        self._process = None

    def start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli", "models", "serve", "--port", str(self.port)],
                env=self._environment, cwd=REPOSITORY, stdout=log, stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call
            )  # fmt: skip
        eventually(self.answers, what=lambda: f"the server answers\n{self._log.read_text()[-2000:]}", deadline_s=60)

    def answers(self):
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1.0).status_code in {200, 401}
        except httpx.HTTPError:
            return False

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def serving(tmp_path, token=""):
    with required():
        models.locate(Settings(cache_dir=cache_dir()), "speech_emotion_noise")
    server = Server(tmp_path, token)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def remote(url, **values):
    engine = RemoteSpeech(url, **{"timeout_s": 5.0, **values})
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server"), token="open sesame") as server:
        yield server


def test_a_remote_engine_says_what_the_engine_there_says(server):
    embedded = choice.embedded(Settings(cache_dir=cache_dir()))
    # What comes from a microphone is 16 bits wide: so nothing is lost on the way.
    windows = [np.rint(window * 32_768).astype(np.float32) / np.float32(32_768) for window in WINDOWS]
    with remote(server.url, token="open sesame") as engine:
        engine.warm_up()
        answers = engine.infer(windows)
        assert len(engine.infer(WINDOWS * 10)) == 30
    for far, near in zip(answers, embedded.infer(windows), strict=True):
        np.testing.assert_allclose(far.scores, near.scores, atol=1e-6)
        assert far.confidence == pytest.approx(near.confidence, abs=1e-6)
        assert far.valence == pytest.approx(near.valence, abs=1e-6)
        assert far.source == "remote:embedded-speech@2"
        assert not far.degraded


def test_without_its_token_the_server_answers_nobody(server):
    with remote(server.url) as engine, pytest.raises(RemoteEngineError, match="401"):
        engine.infer(WINDOWS)


def test_the_server_refuses_what_is_no_question(server):
    headers = {"authorization": "Bearer open sesame"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=10) as client:
        assert client.get("/healthz").json() == {"engine": "embedded-speech@2"}
        answer = client.post(PATH, content=b"{")
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        answer = client.post(PATH, json={"windows": ["AAAA"]})
        assert answer.status_code == 422
        assert "32000" in answer.json()["detail"]
        assert client.post(PATH, content=b"x" * (REQUEST_BYTES + 1)).status_code == 413


class Scripted(BaseHTTPRequestHandler):
    """Answers the n-th request as the n-th entry of ``script`` says; the last one for ever."""

    script = ()
    asked = 0

    def do_POST(self):
        cls = type(self)
        step = cls.script[min(cls.asked, len(cls.script) - 1)]
        cls.asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        step(self)

    def log_message(self, *_):
        pass


def says(status, body, headers=()):
    def step(handler):
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return step


def hangs_up(handler):
    handler.close_connection = True
    handler.connection.close()


def drips(handler):
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    stop = time.monotonic() + 5.0
    try:
        while time.monotonic() < stop:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            threading.Event().wait(0.02)
    except OSError:
        handler.close_connection = True


GOOD = json.dumps({"engine": "other@2", "windows": [{"scores": {"sad": 1.0}}], "new": "field"}).encode()


@contextmanager
def scripted(*script):
    handler = type("Handler", (Scripted,), {"script": script, "asked": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/any/path", handler
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("first", [says(503, b"busy"), says(502, b""), hangs_up], ids=["503", "502", "hangs up"])
def test_a_passing_trouble_is_tried_once_more(first):
    with scripted(first, says(200, GOOD)) as (url, handler), remote(url) as engine:
        (answer,) = engine.infer(WINDOWS[:1])
        assert answer.source == "remote:other@2"
        assert handler.asked == 2


@pytest.mark.parametrize(
    "step, said, asked",
    [
        (says(503, b"busy"), "503: busy", 2),
        (hangs_up, "RemoteProtocolError|ReadError", 2),
        (says(404, b"no such path"), "404: no such path", 1),
        (says(302, b"", [("location", "http://127.0.0.1:1/")]), "answers 302", 1),
        (says(200, b"<html>"), "what is no answer", 1),
        (says(200, b'{"engine": "x@1", "windows": [{"scores": {"sad": 0.4}}]}'), "sum to 0.400", 1),
        (says(200, b'{"engine": "x@1", "windows": []}'), "0 answers for 1 windows", 1),
        (says(200, b" " * (ANSWER_BYTES + 1)), "more than 1000000 bytes", 1),
        (drips, "in time", 1),
    ],
)
def test_what_a_server_may_do_wrong_is_told(step, said, asked):
    with scripted(step) as (url, handler), remote(url, timeout_s=1.0) as engine:
        began = time.monotonic()
        with pytest.raises(RemoteEngineError, match=said):
            engine.infer(WINDOWS[:1])
        assert time.monotonic() - began < 30.0, "it waits far longer than it was told"
        assert handler.asked == asked


@pytest.mark.parametrize("url", ["", "ftp://x", "x:80", "http://", "grpc://x:80/m"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(SettingsError, match="no http or https address"):
        RemoteSpeech(url, timeout_s=1.0)


def test_secrets_do_not_belong_in_the_address():
    with pytest.raises(SettingsError, match="AFFECTSTREAM_SPEECH_TOKEN"):
        RemoteSpeech("https://user:secret@host", timeout_s=1.0)


def test_a_worker_goes_on_while_its_server_is_frozen_or_dead_and_goes_back(settings, tmp_path):
    sound, _ = sample_speech()
    with serving(tmp_path) as server:
        settings = settings.model_copy(
            update={"speech_engine": "remote", "speech_url": server.url, "speech_timeout_ms": 450}
        )
        with (
            running("speech-worker", settings) as worker,
            log_of(settings, SIGNALS, Signal) as signals,
            Microphones(settings, ["ann", "ben"], sound) as microphones,
        ):

            def answered_by(source, after):
                def seen(found):
                    return any(each.sequence > after and each.source == source for each in found)

                signals.until(
                    seen, deadline_s=90
                )  # a machine that is busy answers late, and is probed ever more rarely
                return max(each.sequence for each in signals.records)

            last = answered_by("remote:embedded-speech@2", 0)
            server.freeze()
            last = answered_by("embedded-speech@2", last)
            assert "affectstream_engine_degraded" in worker.metrics()
            server.thaw()
            last = answered_by("remote:embedded-speech@2", last)
            server.kill()
            last = answered_by("embedded-speech@2", last)
            server.start()
            answered_by("remote:embedded-speech@2", last)
            sent = microphones.sent
        found = signals.records
    assert sent > 0
    for each in found:
        assert each.payload.degraded == (each.source == "embedded-speech@2"), each
        # No window was lost: in speech, the emotion that a hop carries is never older than the next window.
        assert each.payload.emotion_confidence == 0.0 or each.payload.emotion_age_ms <= 540.0
    for session in ("ann", "ben"):
        numbers = [each.sequence for each in found if each.session_id == session]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "a hop is missing"
    assert {each.source for each in found} == {"remote@1", "remote:embedded-speech@2", "embedded-speech@2"}
