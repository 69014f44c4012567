"""People are told: that something waits, and that it waits no more (SEC-DOS-10, DEV-XD-07)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from abeyance.outbound.mail import Mail, Mailer, MailRefused
from abeyance.parties.person import PersonId
from abeyance.pending.votes import Verdict
from abeyance.server.settings import ConfigurationError
from tests.config import CONFIG
from tests.covers import covers
from tests.outside import Network
from tests.served import Served, serve

HOOK: Final = "https://chat.internal.example:9000/hook"
SECRET: Final = "whsec_" + "c2VjcmV0LTAxMjM0NTY3ODktMDEyMzQ1Njc4OQ=="
WITH_MAIL = CONFIG  # with an address for each reviewer
for _name in ("Rita", "Omar, who owns c1"):
    _line = f'name = "{_name}"'
    _email = f'email = "{_name[:4].lower()}@example.org"'
    WITH_MAIL = WITH_MAIL.replace(_line, f"{_line}\n{_email}")


@dataclass(slots=True)
class Post(Mailer):
    """A mail server: what it took, and what it says to the next ones."""

    mails: list[Mail] = field(default_factory=list)
    faults: list[MailRefused] = field(default_factory=list)

    async def send(self, mail: Mail) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.mails.append(mail)

    def to(self, name: str) -> list[Mail]:
        return [each for each in self.mails if each.to == f"{name}@example.org"]


@asynccontextmanager
async def telling(
    folder: Path, *, details: bool = False, post: Post | None = None
) -> AsyncIterator[tuple[Served, Post]]:
    post = post or Post()
    extra = f"[notices]\ndetails = {str(details).lower()}\n"
    async with serve(folder, config=WITH_MAIL, extra=extra, mailer=post) as served:
        yield served, post


async def settle(until: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not until():  # noqa: ASYNC110  # the mail server tells nobody
            await asyncio.sleep(0.001)


async def nothing_more() -> None:
    for _ in range(20):
        await asyncio.sleep(0.001)


def subjects(mails: list[Mail]) -> list[str]:
    return [each.subject for each in mails]


WAITS: Final = "Something waits for your decision"
NO_MORE: Final = "Nothing to decide any more"
ENDED: Final = "What was asked for you has ended"


@covers("SEC-DOS-10")
async def test_reviewers_hear_that_something_waits_by_a_link_that_says_nothing(
    tmp_path: Path,
) -> None:
    async with telling(tmp_path) as (served, post):
        code = await served.s1.defer()
        await settle(lambda: len(post.mails) == 2)
        assert {each.to for each in post.mails} == {"rita@example.org", "omar@example.org"}
        key = await served.key_of(code)
        for mail in post.mails:
            assert mail.subject == WAITS
            link = f"https://as.example/console/requests/{key.home.hex()}.{key.n}"
            assert link in mail.text
            for hidden in ("Ledger agent", "s1", "read", "Read the ledger", code, code[22:]):
                assert hidden not in mail.text.replace(link, "").replace("already", "")


@covers("SEC-DOS-10")
@pytest.mark.parametrize("end", ["approved", "denied", "withdrawn", "expired"])
async def test_whoever_was_told_is_told_when_it_waits_no_more(tmp_path: Path, end: str) -> None:
    async with telling(tmp_path) as (served, post):
        code = await served.s1.defer()
        await settle(lambda: len(post.mails) == 2)
        if end in ("approved", "denied"):
            await served.vote(code, Verdict.APPROVE if end == "approved" else Verdict.DENY)
        elif end == "withdrawn":
            await served.s1.revoke(code)
        else:
            served.clock.move(3_600)
        told = ["omar"] if end in ("approved", "denied") else ["omar", "rita"]
        await settle(lambda: len(post.mails) == 2 + len(told))
        await nothing_more()
        for name in told:
            first, second = post.to(name)
            assert (first.subject, second.subject) == (WAITS, NO_MORE)
            assert second.about == first.id, "one thread in a mailbox"
        assert len(post.to("rita")) == (2 if "rita" in told else 1), "who decided knows"


@covers("SEC-DOS-10")
async def test_whoever_asked_hears_that_it_has_ended(tmp_path: Path) -> None:
    async with telling(tmp_path) as (served, post):
        code = await served.c1.defer()
        await settle(lambda: len(post.to("rita")) == 1)
        assert post.to("omar") == [], "nobody decides what they answer for"
        await served.approve(code)
        await settle(lambda: len(post.mails) == 2)
        await nothing_more()
        assert subjects(post.to("omar")) == [ENDED]
        assert "approved" not in post.to("omar")[0].text
        assert "https://as.example/account/" in post.to("omar")[0].text


@covers("SEC-DOS-10")
async def test_details_are_told_only_where_the_operator_says_so(tmp_path: Path) -> None:
    async with telling(tmp_path, details=True) as (served, post):
        code = await served.c1.defer()
        await settle(lambda: len(post.mails) == 1)
        assert "Key agent: Read the ledger" in post.mails[0].text
        await served.deny(code)
        await settle(lambda: len(post.to("omar")) == 1)
        assert "It was not granted." in post.to("omar")[0].text


@covers("SEC-DOS-10")
async def test_five_a_minute_and_then_one_for_all_that_waits(tmp_path: Path) -> None:
    async with telling(tmp_path) as (served, post):
        for _ in range(30):
            await served.s1.defer()
            served.clock.move(0.01)
        await settle(lambda: len(post.to("rita")) == 5)
        await nothing_more()
        assert len(post.to("rita")) == 5
        for _ in range(120):
            served.clock.move(1)
            await nothing_more()
        await settle(lambda: len(post.to("rita")) == 6)
        assert subjects(post.to("rita")) == [WAITS] * 5 + ["30 requests wait for your decision"]
        assert "https://as.example/console/\n" in post.to("rita")[-1].text
        await served.s1.defer()
        await settle(lambda: len(post.to("rita")) == 7)
        assert post.to("rita")[-1].subject == WAITS, "and what comes then is told again"


@covers("SEC-DOS-10", "EXT-NOTIFY-03")
async def test_a_mail_server_that_is_away_is_asked_again(tmp_path: Path) -> None:
    post = Post(faults=[MailRefused("away"), MailRefused("away"), MailRefused("no", final=True)])
    async with telling(tmp_path, post=post) as (served, _):
        await served.c1.defer()
        for _ in range(200):
            served.clock.move(1)
            await nothing_more()
        await settle(lambda: not post.faults)
        assert post.mails == [], "the third answer was the last word"
        assert not post.faults
        await served.c1.defer(scope="write")
        await settle(lambda: len(post.to("rita")) == 1)


@covers("SEC-DOS-10")
async def test_what_is_over_before_it_could_be_told_is_not_told(tmp_path: Path) -> None:
    post = Post(faults=[MailRefused("away")] * 2)
    async with telling(tmp_path, post=post) as (served, _):
        code = await served.s1.defer()
        await settle(lambda: not post.faults)
        await nothing_more()
        await served.s1.revoke(code)
        served.clock.move(10)
        await nothing_more()
        assert WAITS not in subjects(post.mails)


@covers("SEC-DOS-10")
@pytest.mark.parametrize("why", ["disabled", "no address"])
async def test_nobody_else_is_written_to(tmp_path: Path, why: str) -> None:
    async with telling(tmp_path) as (served, post):
        store = served.house.store
        rita = await store.find_person(PersonId("rita"))
        assert rita is not None
        gone = replace(rita, enabled=False) if why == "disabled" else replace(rita, email=None)
        await store.put_person(gone)
        await served.s1.defer()
        await settle(lambda: len(post.to("omar")) == 1)
        await nothing_more()
        assert post.to("rita") == []


# --- webhook


@asynccontextmanager
async def hooked(folder: Path, network: Network, *, details: bool = False) -> AsyncIterator[Served]:
    (folder / "hook.secret").write_text(SECRET)
    extra = (
        f'[notices]\nwebhook_url = "{HOOK}"\nwebhook_secret_file = "{folder}/hook.secret"\n'
        f"details = {str(details).lower()}\n"
    )
    async with serve(folder, extra=extra, outside=network) as served:
        yield served


def verified(network: Network, index: int) -> Any:
    """The body of a post, as a library of the receiver's reads it. Its clock is another."""
    post = network.posts[index]
    headers = {name.lower(): value for name, value in post.headers.items()}
    assert Webhook(SECRET).sign(
        headers["webhook-id"], _instant(headers["webhook-timestamp"]), post.raw
    ) == headers["webhook-signature"]  # fmt: skip
    return json.loads(post.raw)


def _instant(text: str) -> datetime:
    return datetime.fromtimestamp(int(text), UTC)


@covers("SEC-DOS-10")
async def test_the_operators_own_system_is_told_and_can_tell_that_it_was_us(
    tmp_path: Path,
) -> None:
    network = Network()
    async with hooked(tmp_path, network) as served:
        code = await served.s1.defer()
        await settle(lambda: len(network.posts) == 1)
        waits = verified(network, 0)
        assert (network.posts[0].url, waits["type"]) == (HOOK, "request.waiting")
        assert waits["data"].keys() == {"request", "url", "decide_by"}
        await served.approve(code)
        await settle(lambda: len(network.posts) == 2)
        ended = verified(network, 1)
        assert (ended["type"], ended["data"]["outcome"]) == ("request.ended", "approved")
        assert ended["data"]["request"] == waits["data"]["request"]
        forged = {name.lower(): value for name, value in network.posts[0].headers.items()}
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_" + "b3RoZXItMDEyMzQ1Njc4OS0wMTIzNDU2Nzg5").verify(
                network.posts[0].raw, forged
            )


@covers("SEC-DOS-10", "EXT-NOTIFY-03")
async def test_a_webhook_is_sent_again_under_the_same_name(tmp_path: Path) -> None:
    network = Network([503, 204])
    async with hooked(tmp_path, network, details=True) as served:
        code = await served.s1.defer()
        await settle(lambda: len(network.posts) == 1)
        await nothing_more()
        served.clock.move(10)
        await settle(lambda: len(network.posts) == 2)
        one, other = (post.headers["webhook-id"] for post in network.posts)
        assert one == other
        assert verified(network, 1)["data"]["items"] == "Read the ledger"
        assert code not in network.posts[1].raw
        await served.s1.revoke(code)
        await settle(lambda: len(network.posts) == 3)
        assert verified(network, 2)["data"]["outcome"] == "cancelled"


# --- settings


@covers("SEC-OPS-01", "SEC-OPS-05")
@pytest.mark.parametrize(
    ("told", "key"),
    [
        ('sender = "a@b.example"', "notices.smtp_host"),
        ('smtp_host = "mail.example"', "notices.sender"),
        ('smtp_host = "mail.example:25"\nsender = "a@b.example"', "notices.smtp_host"),
        ('smtp_host = "mail.example"\nsender = "nobody"', "notices.sender"),
        (
            'smtp_host = "mail.example"\nsender = "a@b.example"\nsmtp_security = "none"',
            "notices.smtp_security",
        ),
        (
            'smtp_host = "mail.example"\nsender = "a@b.example"\nsmtp_username = "a"',
            "notices.smtp_username",
        ),
        ('webhook_url = "http://chat.example/"', "notices.webhook_url"),
        ('webhook_url = "https://chat.example/"', "notices.webhook_secret_file"),
    ],
)
async def test_what_could_not_work_or_would_be_read_by_others_stops_the_start(
    tmp_path: Path, told: str, key: str
) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        async with serve(tmp_path, extra=f"[notices]\n{told}\n"):
            pass
    assert wrong.value.key == key
