"""One deferral code and its way to an end: polling, waiting, cancelling (DTR-POLL, DTR-CANC).

Holds what one process knows of a request: the pace, the expiry on the monotonic
clock, how it ended. Everything is a flow, so that the blocking and the awaiting
client share it. One flow at a time polls; `cancel` may run beside it.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final, NoReturn, TypeAlias, assert_never

from abeyance.client import answers
from abeyance.client.access import Access
from abeyance.client.addresses import BadAddress, check_interaction
from abeyance.client.callbacks import Notified
from abeyance.client.errors import (
    AlreadyGranted,
    Cancelled,
    CancelNotSupported,
    ClientError,
    Expired,
    MalformedResponse,
    StillPending,
)
from abeyance.client.exchange import Flow, Forget, Keep, Pause, Tell, Unanswered
from abeyance.client.held import Held
from abeyance.client.link import Link, log
from abeyance.client.pace import DEFAULT_INTERVAL, LAST_CHANCE, OWN_LIMIT, Pace, next_poll
from abeyance.client.progress import Progress, Waiting
from abeyance.client.receiving import receive, refusal_error
from abeyance.client.revoking import revoke
from abeyance.client.token import OnPartial, Token
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret

HOLD: Final = 25  # seconds that a poll may be held

Form: TypeAlias = tuple[tuple[str, str], ...]


class Pursuit:
    """The moving part behind a pending handle. Instants are ticks of the monotonic clock."""

    def __init__(
        self,
        link: Link,
        held: Held,
        pace: Pace,
        *,
        started: float,
        expires: float | None,
        repeat: Form | None = None,
    ) -> None:
        self.held = held
        self._repeat = repeat  # the first request, as long as it could bring back what was lost
        self._link = link
        self._pace = pace
        self._started = started
        self._expires = expires  # None: the server did not tell, or our clock is not believed
        self._limit = self._tick() + OWN_LIMIT.total_seconds() if expires is None else expires
        self._due: float | None = self._tick()
        self._polls = 0
        self._state = Waiting.PENDING
        self._description: str | None = None
        self._interaction: Secret | None = None
        self._interaction_code: str | None = None
        self._ended: Token | ClientError | None = None
        self._in_doubt = False  # the answer to an earlier poll may be lost
        self._sending = False
        self._interrupted = False
        self._notified: float | None = None

    @classmethod
    def opened(
        cls,
        link: Link,
        deferred: answers.Deferred,
        *,
        token_endpoint: str,
        requested: Access,
        key: KeyPair | None,
        on_partial: OnPartial,
        retry_after: timedelta | None,
        asked_at: float,
        repeat: Form | None = None,
        nonce: Secret | None = None,
        notification_token: Secret | None = None,
    ) -> "Pursuit":
        """Take up a deferred response.

        `asked_at`: the tick when the request left. The server began to count
        later than that, so our end lies before its end, never after. `repeat`: the
        form of the first request, where the server would know it again.
        """
        now, life = link.surroundings.now(), deferred.expires_in
        interval = deferred.interval or DEFAULT_INTERVAL
        held = Held(
            issuer=link.issuer,
            token_endpoint=token_endpoint,
            client_id=link.client_id,
            code=deferred.code,
            key=key,
            requested=requested,
            on_partial=on_partial,
            interval=interval,
            penalties=0,
            opened_at=now,
            expires_at=None if life is None else now + life,
            nonce=nonce,
            notification_token=notification_token,
        )
        pursuit = cls(
            link,
            held,
            Pace(interval).answered(retry_after),
            started=asked_at,
            expires=None if life is None else asked_at + life.total_seconds(),
            repeat=repeat,
        )
        pursuit._state = deferred.waiting
        pursuit._description = deferred.description
        pursuit._interaction = pursuit._checked(deferred.interaction_uri)
        pursuit._interaction_code = deferred.interaction_code
        pursuit._schedule(first=True)
        return pursuit

    @classmethod
    def resumed(cls, link: Link, held: Held) -> "Pursuit":
        """Take up where another process left off (T-236).

        That process may have polled a moment ago, and may have been killed
        while the answer was on its way: so the first poll waits, and the
        result counts as possibly lost until the server says "pending" again.
        """
        tick, now = link.surroundings.tick(), link.surroundings.now()
        waited = max(0.0, (now - held.opened_at).total_seconds())
        expires = None
        if held.expires_at is not None:
            # A wall clock that was set back must not lengthen the life.
            left = min(held.expires_at - now, held.expires_at - held.opened_at)
            # Seems over, but only the wall clock says so: the server is asked once more, at once.
            expires = tick + left.total_seconds() if left > LAST_CHANCE else None
        pursuit = cls(
            link,
            held,
            Pace(held.interval, held.penalties),
            started=tick - waited,
            expires=expires,
        )
        pursuit._in_doubt = True
        if expires is not None or held.expires_at is None:
            pursuit._schedule()
        return pursuit

    @property
    def result(self) -> Token | None:
        """The token, once it is there."""
        return self._ended if isinstance(self._ended, Token) else None

    def poll(self) -> Flow[Token | Progress]:
        """Poll once if a poll is due; before that, send nothing.

        Raises what ended the request, also when asked again: an end is final
        (DTR-ERR-07, -09), and nothing more is sent.
        """
        return (yield from self._poll(0))

    def _poll(self, hold: int) -> Flow[Token | Progress]:
        if isinstance(self._ended, Token):
            return self._ended
        self._raise_if_over()
        now = self._tick()
        if now >= self._limit:
            yield from self._end(Expired())
        if self._due is None or now < self._due or self._sending:
            return self.progress()
        return (yield from self._poll_once(hold))

    def wait(self, timeout: timedelta | None) -> Flow[Token]:
        """Poll at the pace until there is a token.

        Raises what ended the request, and `StillPending` when the time-out is
        over or `interrupt` was called. After a long suspension there is one
        poll, not one for each that was missed (T-252): the next is always
        counted from the last answer. Where the server offers to hold polls, they are
        held, so that a decision is heard at once (EXT-WAIT).
        """
        until = None if timeout is None else self._tick() + timeout.total_seconds()
        self._interrupted = False
        if self._ended is None:
            yield Tell(self.progress())
        while True:
            if isinstance(self._ended, Token):
                return self._ended
            self._raise_if_over()
            if self._interrupted:
                raise StillPending
            now = self._tick()
            due = self._limit if self._due is None else min(self._due, self._limit)
            if now >= due:
                answer = yield from self._poll(self._hold(now, until))
                if isinstance(answer, Progress) and self._ended is None:
                    yield Tell(answer)
            elif until is None or due <= until:
                yield Pause(due - now)
            elif now < until:
                yield Pause(until - now)
            else:
                raise StillPending

    def cancel(self) -> Flow[None]:
        """Withdraw the request at the server.

        If a poll is under way meanwhile, its answer counts: a token that it
        brings is handed over by `poll` or `wait`, since the server does not
        revoke what it has delivered (DTR-CANC-04).
        """
        if isinstance(self._ended, Token):
            raise AlreadyGranted(self._ended)
        if self._ended is not None and self._ended.ends_request:
            return
        metadata = yield from self._link.discover()
        try:
            if not metadata.can_cancel:
                raise CancelNotSupported
            yield from revoke(
                self._link,
                metadata,
                self.held.code,
                hint=names.TOKEN_TYPE_DEFERRAL_CODE,
                key=self.held.key,
            )
        except CancelNotSupported as unsupported:
            # Nothing was cancelled, but who wanted to cancel wants no token: we stop.
            if self._ended is None:
                self._ended = unsupported
            raise
        if isinstance(self._ended, Token):
            raise AlreadyGranted(self._ended)
        self._ended = Cancelled()
        log.info("request cancelled")
        yield Forget()

    def be_called(self, notified: Notified) -> None:
        """Let callbacks for this request call `notified`."""
        callbacks, held = self._link.callbacks, self.held
        if callbacks is not None and held.notification_token is not None:
            callbacks.attach(held.notification_token, held.code, notified)

    def be_called_no_more(self) -> None:
        if self._link.callbacks is not None and self.held.notification_token is not None:
            self._link.callbacks.forget(self.held.notification_token)

    def check_open(self) -> None:
        """Raise what ended the request, if something did."""
        if isinstance(self._ended, Token):
            raise AlreadyGranted(self._ended)
        self._raise_if_over()

    def interrupt(self) -> None:
        """Let a running `wait` end with `StillPending`."""
        self._interrupted = True

    def notified(self) -> None:
        """A callback came: poll at once, where the server says that one such poll is free; else
        when the rest of the interval has passed, as without it (EXT-WAIT-06, -08).
        """
        link, now = self._link, self._tick()
        if not (link.speaks(names.PROFILE_WAIT) or link.speaks(names.PROFILE_NOTIFY)):
            return
        # However many come: no more polls than the pace would allow besides.
        if self._notified is None or now - self._notified >= self._pace.bound.total_seconds():
            self._notified = self._due = now

    def progress(self, *, polled: bool = False) -> Progress:
        now = self._tick()
        due = self._limit if self._due is None else self._due
        return Progress(
            state=self._state,
            description=self._description,
            polls=self._polls,
            polled=polled,
            waited=timedelta(seconds=max(0.0, now - self._started)),
            next_poll_in=timedelta(seconds=max(0.0, due - now)),
            expires_in=(
                None if self._expires is None else timedelta(seconds=max(0.0, self._expires - now))
            ),
            interaction_uri=self._interaction,
            interaction_code=None if self._interaction is None else self._interaction_code,
        )

    def _hold(self, now: float, until: float | None) -> int:
        """For how many seconds the server may hold a poll that is sent now."""
        if not self._link.speaks(names.PROFILE_WAIT):
            return 0
        end = self._limit if until is None else min(self._limit, until)
        return max(0, min(HOLD, int(end - now)))

    def _poll_once(self, hold: int) -> Flow[Token | Progress]:
        in_doubt, self._in_doubt = self._in_doubt, True
        # If the caller breaks off here, the poll may have arrived all the same.
        self._due = self._tick() + self._pace.bound.total_seconds()
        self._sending = True
        try:
            reply = yield from self._link.call(
                self.held.token_endpoint,
                (
                    (names.GRANT_TYPE, names.GRANT_DEFERRED),
                    (names.DEFERRAL_CODE, self.held.code.reveal()),
                ),
                key=self.held.key,
                hold=hold,
            )
        finally:
            self._sending = False
        self._polls += 1
        if isinstance(reply, Unanswered):
            retry_after = None
            answer: answers.Answer = answers.Passing(reply.why)
        else:
            retry_after = answers.retry_after(reply, self._link.surroundings.now())
            answer = answers.read_answer(reply, polling=True)
            answers.note_status(reply, answer)
        match answer:
            case answers.Granted():
                return (yield from self._receive(answer))
            case answers.Pending() | answers.Deferred():
                self._in_doubt = False
                self._state, self._description = answer.waiting, answer.description
                self._interaction = self._checked(answer.interaction_uri)
                self._interaction_code = answer.interaction_code
                self._pace = self._pace.answered(retry_after)
            case answers.TooFast():
                self._in_doubt = False
                self._state, self._description = Waiting.SLOWED_DOWN, answer.description
                self._pace = self._pace.slowed(retry_after)
                self.held = replace(self.held, penalties=self._pace.penalties)
                log.info("server asked to slow down")
            case answers.Passing() | answers.NonceWanted():
                self._state, self._description = Waiting.UNREACHABLE, None
                self._pace = self._pace.failed(retry_after)
                log.info("poll got no usable answer")
            case answers.Refusal():
                if in_doubt and answer.error == names.INVALID_GRANT:
                    recovered = yield from self._recover()
                    if recovered is not None:
                        return (yield from self._receive(recovered))
                yield from self._end(refusal_error(answer, polling=True, in_doubt=in_doubt))
            case answers.Contradiction():
                yield from self._end(MalformedResponse(answer.reason))
            case _:
                assert_never(answer)
        self._schedule()
        if isinstance(answer, answers.TooFast):
            yield Keep(self.held)
        return self.progress(polled=True)

    def _recover(self) -> Flow[answers.Granted | None]:
        """The token may have been issued and lost on the way: ask for it by the name of the
        first request, once, where the server offers that (EXT-IDEMP-07).
        """
        form, self._repeat = self._repeat, None
        if form is None:
            return None
        log.info("a token that may be lost is asked for again")
        reply = yield from self._link.call(self.held.token_endpoint, form, key=self.held.key)
        if isinstance(reply, Unanswered):
            return None
        answer = answers.read_answer(reply, polling=False)
        return answer if isinstance(answer, answers.Granted) else None

    def _receive(self, granted: answers.Granted) -> Flow[Token]:
        try:
            token = yield from receive(
                self._link,
                granted,
                requested=self.held.requested,
                key=self.held.key,
                on_partial=self.held.on_partial,
                nonce=self.held.nonce,
            )
        except ClientError as unwanted:
            yield from self._end(unwanted, over=True)
        # Whatever was said meanwhile (a cancellation that came too late): the token is here.
        self._ended = token
        log.info("token received")
        yield Forget()
        return token

    def _end(self, error: ClientError, *, over: bool = False) -> Flow[NoReturn]:
        # The server answers a poll after our own cancellation with `access_denied`.
        if self._ended is None:
            self._ended = error
            log.info("request ended: %s", type(error).__name__)
        if over or error.ends_request:
            yield Forget()
        self._raise_if_over()
        raise error

    def _raise_if_over(self) -> None:
        if isinstance(self._ended, ClientError):
            raise self._ended.with_traceback(None)

    def _schedule(self, *, first: bool = False) -> None:
        self._due = next_poll(
            self._pace,
            now=self._tick(),
            expires=self._limit,
            first=first,
            jitter=self._link.surroundings.jitter(),
        )

    def _checked(self, uri: Secret | None) -> Secret | None:
        """An address of the server's own, or none: a foreign one is never shown to anybody."""
        if uri is None:
            return None
        try:
            known = self._link.known
            check_interaction(
                uri.reveal(),
                issuer=self._link.issuer,
                token_endpoint=self.held.token_endpoint,
                others=() if known is None else known.interaction_origins,
            )
        except BadAddress:
            log.warning("an interaction address that is not the server's own was left out")
            return None
        return uri

    def _tick(self) -> float:
        return self._link.surroundings.tick()
