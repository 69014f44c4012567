"""Whose name and password these are: one count of failures for every door (OAUTH-SESS-07).

One computation for an unknown name, a wrong password and a disabled person. A failure is
counted and logged, never stored: strangers must not fill the disk (SEC-DOS-16).
"""

from collections.abc import Hashable, Sequence

import structlog

from abeyance.acts.challenge import Recognize
from abeyance.acts.house import House
from abeyance.parties.person import Person, PersonId
from abeyance.server.passwords import Overloaded, Passwords, Verdict
from abeyance.server.proxies import Network, is_proxy
from abeyance.volatile.customers import find_customer
from abeyance.wire.errors import TooManyRequests, Unavailable
from abeyance.wire.secret import Secret

_log = structlog.get_logger("abeyance.sign_in")


async def recognize(
    house: House,
    passwords: Passwords,
    proxies: Sequence[Network],
    name: str,
    password: Secret,
    *,
    address: str,
) -> Person | None:
    """Return the person. Raises `TooManyRequests` for too many attempts, `Overloaded`."""
    account: Hashable = ("account", name)
    place: Hashable | None = None
    if tells_apart(house, proxies, address):
        place = ("address", find_customer(address))
    keys = [each for each in (account, place) if each is not None]
    failures, tick, own = house.limits.sign_ins, house.clock.tick(), (account, place)
    waits = [wait for key in keys if (wait := failures.wait(key, tick)) is not None]
    if waits:
        house.counters.sign_in_failures.inc()
        raise TooManyRequests("Too many attempts to sign in have failed", max(waits))
    # Counted before it is known: guesses that come all at once must not all find the door open.
    for key in (*keys, own):
        failures.fail(key, tick)
    person = await house.store.find_person(PersonId(name)) if name else None
    verdict = await passwords.verify(password, person.password_hash if person else None)
    if person is None or not person.enabled or verdict is Verdict.WRONG:
        house.counters.sign_in_failures.inc()
        _log.warning(
            "sign-in failed", account=house.keys.pseudonym(name), address=find_customer(address)
        )
        return None
    if place is not None:
        # Of what was wrong from here, their own mistakes alone: an account of one's own must not
        # buy more guesses at those of others.
        failures.forgive(place, tick, failures.count(own, tick))
    failures.succeed(account)
    failures.succeed(own)
    return person


def recognizer(house: House, passwords: Passwords, proxies: Sequence[Network]) -> Recognize:
    """The same for the back channel, which has no page to say that it is overloaded."""

    async def recognized(name: str, password: Secret, address: str) -> Person | None:
        try:
            return await recognize(house, passwords, proxies, name, password, address=address)
        except Overloaded:
            raise Unavailable from None

    return recognized


def tells_apart(house: House, proxies: Sequence[Network], address: str) -> bool:
    """Do addresses tell people apart here, so that failures may be counted by them?

    Behind the proxy that ends TLS everybody has one address: counting it would let a
    stranger's wrong guesses keep all reviewers out. Where the proxy is not known, or did
    not say whose the request is, it must count.
    """
    if not house.endpoints.issuer.startswith("https:"):
        return True
    return bool(proxies) and not is_proxy(address, proxies)
