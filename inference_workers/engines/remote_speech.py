"""A speech engine on another machine, asked by HTTP (:mod:`inference_workers.speech_contract`)."""

import base64
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import httpx
import numpy as np
from pydantic import ValidationError

from inference_workers.engines.protocols import Samples, SpeechEmotion
from inference_workers.speech.features import SAMPLE_RATE_HZ
from inference_workers.speech_contract import ANSWER_BYTES, PATH, Answer, pcm
from runtime.errors import AffectstreamError, SettingsError

TRIES: Final = 2
TRANSIENT: Final = (502, 503, 504)
WARM_UP_S: Final = 10.0
"""For the first question: the server may have to load what it needs."""


class RemoteEngineError(AffectstreamError):
    """The server could not be asked, refused, or answered what is no answer."""


class RemoteSpeech:
    """A :class:`inference_workers.engines.protocols.SpeechEngine`; its answers say which engine gave them.

    Asked again once, and only if the connection broke or the server was busy, and only while there is time.
    """

    source: Final = "remote@1"
    max_batch: Final = 32

    def __init__(self, url: str, *, timeout_s: float, token: str = "") -> None:
        """``url``: the server, or its exact address with a path; ``timeout_s``: for a batch, tries included."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError(f"AFFECTSTREAM_SPEECH_URL {url!r} is no http or https address")
        if parts.username or parts.password:
            raise SettingsError(
                "AFFECTSTREAM_SPEECH_URL is shown in logs: a secret belongs in AFFECTSTREAM_SPEECH_TOKEN"
            )
        self._url = url if parts.path.strip("/") else url.rstrip("/") + PATH
        self._timeout_s = timeout_s
        headers = {"authorization": f"Bearer {token}"} if token else {}
        # Redirects are not followed: sound goes where the operator said, and nowhere else.
        self._client = httpx.Client(headers=headers, follow_redirects=False, trust_env=False)

    def warm_up(self) -> None:
        self._ask([np.zeros(SAMPLE_RATE_HZ, np.float32)], WARM_UP_S)

    def infer(self, windows: Sequence[Samples]) -> Sequence[SpeechEmotion]:
        """Raises RemoteEngineError, within the timeout."""
        return self._ask(windows, self._timeout_s)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _ask(self, windows: Sequence[Samples], timeout_s: float) -> Sequence[SpeechEmotion]:
        question = {
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "encoding": "pcm_s16le",
            "windows": [base64.b64encode(pcm(window)).decode() for window in windows],
        }
        until_s = time.monotonic() + timeout_s
        answer = self._post(question, until_s)
        if len(answer.windows) != len(windows):
            raise RemoteEngineError(f"{self._url} gives {len(answer.windows)} answers for {len(windows)} windows")
        source = f"remote:{answer.engine}"
        return [window.emotion(source) for window in answer.windows]

    def _post(self, question: object, until_s: float) -> Answer:
        for attempt in range(1, TRIES + 1):
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise RemoteEngineError(f"{self._url} did not answer in time")
            try:
                status, body = self._exchange(question, left_s, until_s)
            except httpx.TransportError as error:
                if attempt == TRIES or isinstance(error, httpx.TimeoutException):
                    raise RemoteEngineError(f"{self._url}: {type(error).__name__}: {error}") from error
                continue
            if status in TRANSIENT and attempt < TRIES:
                continue
            if status != httpx.codes.OK:
                raise RemoteEngineError(f"{self._url} answers {status}: {body[:200].decode(errors='replace')}")
            try:
                return Answer.model_validate_json(body)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = ".".join(map(str, first["loc"]))
                raise RemoteEngineError(f"{self._url} answers what is no answer: {where}: {first['msg']}") from error
        raise AssertionError("unreachable")

    def _exchange(self, question: object, left_s: float, until_s: float) -> tuple[int, bytes]:
        """Status and body. The time is watched while the body comes: a server may send it drop by drop."""
        with self._client.stream("POST", self._url, json=question, timeout=left_s) as response:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > ANSWER_BYTES:
                    raise RemoteEngineError(f"{self._url} answers with more than {ANSWER_BYTES} bytes")
                if time.monotonic() > until_s:
                    raise RemoteEngineError(f"{self._url} did not answer in time")
        return response.status_code, bytes(body)
