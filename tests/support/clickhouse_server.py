"""A ClickHouse server's HTTP interface, TLS and a user with a password, in front of a real engine (chDB).

No ClickHouse server can be had where tests run; its engine can. So what goes over the wire is as clickhouse_connect
sends it, and what answers is ClickHouse; only the HTTP between them is ours, and holds what the product uses of it.
``python -m tests.support.clickhouse_server PORT FOLDER CERTIFICATE KEY PASSWORD`` serves until it is killed.
"""

import base64
import re
import ssl
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import chdb
from clickhouse_connect.driver._backend.chdb_backend import CHDB_TRANSPORT_SETTINGS, _decompress

USER = "analyst"
FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
NOT_SETTINGS = {*CHDB_TRANSPORT_SETTINGS, "query", "user", "password", "default_format"}


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = ""
    password = ""
    one_at_a_time = threading.Lock()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        encoding = self.headers.get("Content-Encoding")
        self._answer(_decompress(body, encoding) if encoding else body)

    def _answer(self, body: bytes) -> None:
        wanted = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self._send(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", "516")
            return
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        try:
            with self.one_at_a_time:
                result = self._run(given, body)
        except RuntimeError as error:
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            self._send(500, text.encode(), code[1] if code else "1002")
            return
        self._send(200, result)

    def _run(self, given: dict[str, str], body: bytes) -> bytes:
        sql, data = (given["query"], body) if "query" in given else (body.decode(), b"")
        found = FORMAT.search(sql)
        settings = {k: v for k, v in given.items() if k not in NOT_SETTINGS and not k.startswith("param_")}
        parameters = {k[6:]: v for k, v in given.items() if k.startswith("param_")}
        connection = chdb.connect(self.folder)
        try:
            if given.get("database"):
                connection.query(f"USE `{given['database']}`")
            # As a server does it, whatever the order: readonly holds from then on.
            for name, value in sorted(settings.items(), key=lambda item: item[0] == "readonly"):
                connection.query(f"SET {name} = {literal(value)}")
            if data and found is not None:
                with tempfile.NamedTemporaryFile() as file:
                    file.write(data)
                    file.flush()
                    sql = f"{sql[: found.start()]} FROM INFILE {literal(file.name)} FORMAT {found[1]}"
                    return bytes(connection.query(sql, "TabSeparated", params=parameters).bytes())
            kind = given.get("default_format", "TabSeparated")
            if found is not None:
                sql, kind = sql[: found.start()], found[1]
            return bytes(connection.query(sql, kind, params=parameters).bytes())
        finally:
            connection.close()

    def _send(self, status: int, body: bytes, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)


def main(port: str, folder: str, certificate: str, key: str, password: str) -> None:
    Handler.folder, Handler.password = folder, password
    Path(folder).mkdir(parents=True, exist_ok=True)
    keep = chdb.connect(folder)
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    try:
        server.serve_forever()
    finally:
        keep.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
