"""Messages on their way: by mail and by webhook, against servers on this machine."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from geo.errors import InvalidInputError
from geo.settings import Settings
from geo.store.cases import posting
from geo.store.cases.posting import Mail, Webhook, post_of
from geo.store.cases.sending import Way
from geo.terms import MessageKind

SECRET = "a secret of many letters"
MESSAGE = {"city": 1, "message": 7, "target": "desk", "subject": "issue 3: dispatch", "issue": 3}


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class Mailbox(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as a sender needs; keeps what it hears."""

    heard: list[str]
    refuses: str

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.say("220 mailbox")
        inside = False
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            self.heard.append(line)
            if inside:
                inside = line != "."
                if not inside:
                    self.say("250 taken")
            elif self.refuses and line.upper().startswith(self.refuses):
                self.say("550 no")
            elif line.upper() == "DATA":
                inside = True
                self.say("354 go on")
            elif line.upper() == "QUIT":
                return self.say("221 bye")
            else:
                self.say("250 mailbox")
        return None


@contextmanager
def mailbox(refuses: str = "") -> Iterator[tuple[int, list[str]]]:
    kind = type("Kept", (Mailbox,), {"heard": [], "refuses": refuses})
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind)) as port:
        yield port, kind.heard


@contextmanager
def listener(status: int = 200, to: str = "") -> Iterator[tuple[int, list[Any]]]:
    heard: list[Any] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((dict(self.headers), body))
            self.send_response(status)
            if to:
                self.send_header("Location", to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *said: Any) -> None:
            pass

    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)) as port:
        yield port, heard


def settings(**said: Any) -> Settings:
    for name in ("smtp_url", "webhook_secret"):
        if name in said:
            said[name] = SecretStr(said[name])
    return Settings(**said)


def test_a_mail_arrives_with_an_id_that_stays() -> None:
    with mailbox() as (port, heard):
        post = post_of(
            settings(
                smtp_url=f"smtp://127.0.0.1:{port}", mail_from="grid@a.org", mail_to="desk@b.org"
            )
        )
        assert post.ways == {"*": Way(MessageKind.EMAIL, "desk@b.org")}
        for _ in range(2):
            post.senders[MessageKind.EMAIL](post.ways["*"], MESSAGE)
    assert heard.count("Message-ID: <wangge-1-7@a.org>") == 2
    assert "Subject: [Wangge] issue 3: dispatch" in heard
    assert "rcpt TO:<desk@b.org>" in heard


@pytest.mark.parametrize("refuses", ["MAIL", "RCPT", "DATA"])
def test_a_refused_mail_is_an_error(refuses: str) -> None:
    with mailbox(refuses) as (port, _), pytest.raises(OSError):
        Mail(f"smtp://127.0.0.1:{port}", "grid@a.org")(Way(MessageKind.EMAIL, "b@b.org"), MESSAGE)


def test_no_header_can_be_slipped_in() -> None:
    with mailbox() as (port, heard), pytest.raises(OSError, match="no mail"):
        sly = {**MESSAGE, "subject": "x\r\nBcc: other@c.org"}
        Mail(f"smtp://127.0.0.1:{port}", "grid@a.org")(Way(MessageKind.EMAIL, "b@b.org"), sly)
    assert heard == []


def test_mail_to_another_machine_is_never_sent_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to this machine but is not one of it: the server has no STARTTLS."""
    monkeypatch.setattr(posting, "LOOPBACK", frozenset[str]())
    with mailbox() as (port, heard), pytest.raises(OSError):
        Mail(f"smtp://me:pass@127.0.0.1:{port}", "grid@a.org")(
            Way(MessageKind.EMAIL, "b@b.org"), MESSAGE
        )
    assert not [line for line in heard if line.upper().startswith(("AUTH", "MAIL"))]


def test_a_webhook_is_signed() -> None:
    with listener() as (port, heard):
        url = f"http://127.0.0.1:{port}/in"
        post = post_of(settings(webhook_url=url, webhook_secret=SECRET))
        post.senders[MessageKind.WEBHOOK](post.ways["*"], MESSAGE)
    [(headers, body)] = heard
    assert json.loads(body) == MESSAGE
    signed = f"{headers['Wangge-Timestamp']}.".encode() + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["Wangge-Signature"] == f"sha256={expected}"
    assert headers["Wangge-Message"] == "1-7"


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 500])
def test_what_is_not_taken_is_an_error_and_no_redirect_is_followed(status: int) -> None:
    with listener() as (other, strayed):
        away = f"http://127.0.0.1:{other}/" if status < 400 else ""
        with listener(status, away) as (port, heard):
            way = Way(MessageKind.WEBHOOK, f"http://127.0.0.1:{port}/")
            with pytest.raises(OSError, match=f"answered {status}"):
                Webhook(SECRET.encode())(way, MESSAGE)
        assert (len(heard), strayed) == (1, [])


def test_an_address_that_is_silent_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "TIME_LIMIT_S", 0.2)
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as silent:
        at = silent.server_address[1]
        with pytest.raises(OSError):
            Webhook(SECRET.encode())(Way(MessageKind.WEBHOOK, f"http://127.0.0.1:{at}/"), MESSAGE)
        with pytest.raises(OSError):
            Mail(f"smtp://127.0.0.1:{at}", "grid@a.org").reach()


def test_with_both_desks_get_mail_and_all_others_the_webhook() -> None:
    post = post_of(
        settings(
            webhook_url="https://c.org/in", webhook_secret=SECRET,
            smtp_url="smtps://me:pass@mail.a.org", mail_from="grid@a.org", mail_to="desk@b.org",
        )
    )  # fmt: skip
    assert {target: way.kind.value for target, way in post.ways.items()} == {
        "*": "webhook",
        "desk": "email",
    }
    assert "pass" not in repr(post)
    assert SECRET not in repr(post)
    assert post_of(settings()) == posting.Post()


MAIL = {"smtp_url": "smtp://mail.a.org", "mail_from": "grid@a.org", "mail_to": "desk@b.org"}
HOOK = {"webhook_url": "https://c.org/in", "webhook_secret": SECRET}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        (HOOK | {"webhook_url": "http://c.org/in"}, "WANGGE_WEBHOOK_URL"),
        (HOOK | {"webhook_url": "file:///etc/passwd"}, "WANGGE_WEBHOOK_URL"),
        (HOOK | {"webhook_url": "https://me:pass@c.org/"}, "WANGGE_WEBHOOK_URL"),
        (HOOK | {"webhook_url": "https://c.org:99999/"}, "WANGGE_WEBHOOK_URL"),
        (HOOK | {"webhook_secret": "short"}, "WANGGE_WEBHOOK_SECRET"),
        ({"webhook_url": "https://c.org/in"}, "WANGGE_WEBHOOK_SECRET"),
        (MAIL | {"smtp_url": "http://mail.a.org"}, "WANGGE_SMTP_URL"),
        (MAIL | {"mail_from": None}, "WANGGE_MAIL_FROM"),
        (MAIL | {"mail_to": "a@b.org, c@d.org"}, "WANGGE_MAIL_TO"),
    ],
)
def test_wrong_settings_name_themselves(said: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as told:
        post_of(settings(**said))
    assert told.value.data["field"] == field
    assert field in str(told.value)
