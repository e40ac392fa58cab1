"""Mail, to a real mail server on a free port: secured, signed in, refused, slow, and nothing that could be smuggled into it."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from stillhere.errors import MailError, SettingsError
from stillhere.mail import Mailer
from tests.services.certificates import Certificates, make_certificates
from tests.services.mail import Post, post_office
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Iterator

SENDER = "Data room <room@firm.example>"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make a certificate for loopback."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def served(certificates: Certificates) -> ssl.SSLContext:
    """Give what the server secures its side with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


@pytest.fixture
def post() -> Iterator[Post]:
    """Run a mail server that asks for nothing."""
    with post_office() as running:
        yield running


def mailer(url: str, **options: object) -> Mailer:
    """Build one with a clock that stands still."""
    return Mailer(url, SENDER, clock=lambda: START, random_bytes=lambda n: b"\x01" * n, **options)  # type: ignore[arg-type]  # tests pass what it takes


async def test_a_message_arrives_as_it_was_written(post: Post) -> None:
    """Sender, recipient, subject, both bodies, time and a name that tells nothing of the machine."""
    await mailer(post.url).send(
        "jo.o'brien+x@fund.example", "Ihr Code für Bücher", "Grüße\n.\n", "<p>Grüße</p>", headers=[("X-Kind", "code")]
    )
    ((recipient, message),) = post.mails
    assert recipient == "jo.o'brien+x@fund.example"
    assert (message["From"], message["To"]) == (SENDER, "jo.o'brien+x@fund.example")
    assert (message["Subject"], message["X-Kind"], message["Auto-Submitted"]) == ("Ihr Code für Bücher", "code", "auto-generated")
    assert message["Date"].datetime.timestamp() * 1000 == START // 1000 * 1000
    assert message["Message-ID"] == f"<{'01' * 16}@firm.example>"
    plain, html = (message.get_body([kind]) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == "Grüße\n.\n"
    assert html.get_content().strip() == "<p>Grüße</p>"


async def test_an_address_with_other_letters(post: Post) -> None:
    """An address that is not ASCII travels where the server takes such."""
    await mailer(post.url).send("jörg@xn--bcher-kva.example", "Code", "text")
    assert [recipient for recipient, _ in post.mails] == ["jörg@xn--bcher-kva.example"]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x00", "\x0b", "\x85", "\u2028"])
async def test_nothing_is_smuggled_into_a_header(post: Post, end: str) -> None:
    """A line end in a subject, a sender's name or a header's value begins no header and no message."""
    evil = f"Hello{end}Bcc: other@evil.example{end}{end}body"
    await mailer(post.url).send("a@fund.example", evil, "text", headers=[("X-Page", evil)])
    ((recipient, message),) = post.mails
    assert recipient == "a@fund.example"
    assert message["Bcc"] is None
    assert message["Subject"] == message["X-Page"] == "Hello Bcc: other@evil.example body"
    assert message.get_content().strip() == "text"
    with pytest.raises(SettingsError, match="is no sender"):
        Mailer(post.url, f"Room{end}Bcc: other@evil.example <room@firm.example>")


@pytest.mark.parametrize(
    "to",
    [
        *("a@fund.example\r\nRCPT TO:<other@evil.example>", "a@fund.example\nBcc: x@y.example", "a@fund.example, b@evil.example", "a", ""),
        *("<a@fund.example>", "A <a@fund.example>", "a@fund.example ", "a@fund.example> SIZE=1"),
    ],
)
async def test_nothing_is_smuggled_into_a_command(post: Post, to: str) -> None:
    """What is not exactly one address is refused before anybody is spoken to."""
    with pytest.raises(MailError, match="no address") as refused:
        await mailer(post.url).send(to, "s", "t")
    assert (refused.value.is_transient, refused.value.is_recipient) == (False, True)
    assert post.tries == 0


@pytest.mark.parametrize("name", ["Bcc:", "X\r\nY", "To", "subject", "", "X Y", "Ü"])
async def test_a_header_of_ones_own_is_new_and_well_formed(post: Post, name: str) -> None:
    """A header that is there already, or could be read as two, is the caller's mistake."""
    with pytest.raises(ValueError, match="cannot be a header"):
        await mailer(post.url).send("a@fund.example", "s", "t", headers=[(name, "x")])
    assert post.mails == []


async def test_what_no_mail_can_carry_becomes_a_question_mark(post: Post) -> None:
    """Half a character breaks nothing."""
    await mailer(post.url).send("a@fund.example", "s\ud800", "t\ud800")
    message = post.mails[0][1]
    assert (message["Subject"], message.get_content().strip()) == ("s?", "t?")


async def test_it_signs_in_over_tls(served: ssl.SSLContext, certificates: Certificates) -> None:
    """With STARTTLS or TLS at once the way is secured, its certificate checked, and user and password of the URL are used."""
    trust = ssl.create_default_context(cafile=str(certificates.authority))
    for scheme, options in (("smtp", {"tls": served, "auth_required": True}), ("smtps", {"at_once": served, "auth_require_tls": False})):
        with post_office(**options) as post:  # type: ignore[arg-type]  # of two kinds, each as the server takes it
            url = f"{scheme}://us%40er:pass%3A%20word%40@127.0.0.1:{post.port}"
            await mailer(url, tls=trust).send("a@fund.example", "s", "t")
            assert (post.signed_in, len(post.mails)) == ([b"us@er"], 1)


async def test_a_certificate_that_nobody_vouches_for(served: ssl.SSLContext) -> None:
    """Where certificates are checked, one that nobody vouches for gets neither password nor message; on this machine none is needed."""
    with post_office(tls=served) as post:
        with pytest.raises(MailError, match="cannot be used now") as refused:
            await mailer(f"smtp://user:secret@127.0.0.1:{post.port}", tls=ssl.create_default_context()).send("a@fund.example", "s", "t")
        assert refused.value.is_transient
        assert "secret" not in str(refused.value)
        assert (post.mails, post.signed_in) == ([], [])
        await mailer(post.url).send("a@fund.example", "s", "t")
        assert len(post.mails) == 1


async def test_a_server_without_tls_elsewhere_is_refused(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only on this machine a message goes in the clear."""
    monkeypatch.setattr("stillhere.mail.LOOPBACK", ())
    with pytest.raises(MailError, match="STARTTLS"):
        await mailer(post.url).send("a@fund.example", "s", "t")
    assert post.mails == []


async def test_a_wrong_password_is_told_without_it() -> None:
    """Who cannot sign in learns why, and the password is in no message."""
    with post_office(auth_require_tls=False) as post:
        with pytest.raises(MailError, match="refused: 535") as refused:
            await mailer(f"smtp://user:wrong-one@127.0.0.1:{post.port}").send("a@fund.example", "s", "t")
        assert not refused.value.is_transient
        assert "wrong-one" not in str(refused.value)


@pytest.mark.parametrize(("answer", "is_transient"), [("550 5.1.1 no such user", False), ("451 come back later", True)])
async def test_a_refused_recipient(post: Post, answer: str, *, is_transient: bool) -> None:
    """A refusal says whether it is about this recipient, and whether another try may help."""
    post.refuse["gone@fund.example"] = answer
    with pytest.raises(MailError, match=f"this recipient: {answer[:3]}") as refused:
        await mailer(post.url).send("gone@fund.example", "s", "t")
    assert (refused.value.is_transient, refused.value.is_recipient, refused.value.status_hint) == (is_transient, True, 503)


async def test_a_server_that_refuses_everybody(post: Post) -> None:
    """A refusal that is about no recipient says so, also in a rehearsal."""
    post.refuse_all = "452 no room"
    for trial in (mailer(post.url).send("a@fund.example", "s", "t"), mailer(post.url).rehearse()):
        with pytest.raises(MailError, match="refused: 452 no room") as refused:
            await trial
        assert (refused.value.is_transient, refused.value.is_recipient) == (True, False)


async def test_a_server_that_thinks_for_too_long(post: Post) -> None:
    """A message takes no longer than it may; nobody can tell then whether the server has it."""
    post.slow_s = 60
    with pytest.raises(MailError, match="cannot be used now") as refused:
        await asyncio.wait_for(mailer(post.url, timeout_s=3).send("a@fund.example", "s", "t"), 20)
    assert refused.value.in_doubt


async def test_a_server_that_is_down(post: Post) -> None:
    """Nobody listens: told as something that may pass."""
    port = post.port
    with post_office() as other:
        port = other.port
    for trial in (mailer(f"smtp://127.0.0.1:{port}").send("a@fund.example", "s", "t"), mailer(f"smtp://127.0.0.1:{port}").rehearse()):
        with pytest.raises(MailError, match="cannot be used now") as refused:
            await trial
        assert (refused.value.is_transient, refused.value.in_doubt) == (True, False)


async def test_a_rehearsal_sends_nothing(post: Post) -> None:
    """It goes as far as the sender."""
    await mailer(post.url).rehearse()
    assert (post.tries, post.mails) == (1, [])


@pytest.mark.parametrize(
    "url", ["", "post.example", "http://post.example", "smtp://", "smtp://a:b@post.example:x", "smtp://post.example/x?y"]
)
def test_an_address_that_is_none(url: str) -> None:
    """What is no mail server's address is refused, and the message repeats none of it, for a password may be in it."""
    with pytest.raises(SettingsError, match="write smtp://") as refused:
        Mailer(url, SENDER)
    assert "a:b" not in str(refused.value)


@pytest.mark.parametrize("sender", ["", "room", "Room <room>", "a@b.example, c@d.example"])
def test_a_sender_that_is_none(sender: str) -> None:
    """A sender that no reply could reach is refused at start."""
    with pytest.raises(SettingsError, match="is no sender"):
        Mailer("smtp://post.example", sender)
