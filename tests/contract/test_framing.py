"""Framings: the specification's own numbers, and a Schema Registry spoken to over HTTP by its real client."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fastavro.schema
import pytest

from runtime.errors import SettingsError
from runtime.registry import codec
from runtime.settings import Settings
from schemas.codec import Codec, DecodeError, fingerprint
from schemas.records import Signal
from tests.support.golden import examples


def test_fingerprint_is_the_specifications_crc_64_avro():
    # Avro specification, "Schema Fingerprints": the fingerprint of "int" is 0x7275d51a3f395c8f, stored little-endian.
    assert fastavro.schema.fingerprint('"int"', "CRC-64-AVRO") == (0x7275D51A3F395C8F).to_bytes(8, "little").hex()
    assert Codec().encode(examples()["signals/face"])[:10] == b"\xc3\x01" + fingerprint("Signal")


@pytest.fixture
def registry():
    """The two calls of a Schema Registry that the client makes, as its documentation gives them; ids from 41 on."""
    schemas: list[str] = []

    class FakeRegistry(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def answer(self, status, body):
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self):
            text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"]
            if text not in schemas:
                schemas.append(text)
            self.answer(200, {"id": 41 + schemas.index(text)})

        def do_GET(self):
            number = int(self.path.partition("/schemas/ids/")[2].partition("?")[0] or 0) - 41
            if 0 <= number < len(schemas):
                self.answer(200, {"schema": schemas[number]})
            else:
                self.answer(404, {"error_code": 40403, "message": "Schema not found"})

    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeRegistry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_confluent_framing_round_trip(registry):
    settings = Settings.from_env({}, schema_registry_url=registry)
    record = examples()["signals/face"]
    data = codec(settings).encode(record)
    assert data[0] == 0
    assert int.from_bytes(data[1:5], "big") >= 41
    # Another process has an empty cache and looks the id up.
    assert codec(settings).decode(Signal, data) == record


def test_confluent_framing_refuses_what_it_must(registry):
    reader = codec(Settings.from_env({}, schema_registry_url=registry))
    with pytest.raises(DecodeError, match="Confluent"):
        reader.decode(Signal, Codec().encode(examples()["signals/face"]))
    with pytest.raises(SettingsError, match="cannot read schema 9999"):
        reader.decode(Signal, b"\0" + (9999).to_bytes(4, "big") + b"x")
