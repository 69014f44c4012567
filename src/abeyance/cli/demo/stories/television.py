"""A television that cannot type: a code on its screen, and whose account it has afterwards."""

from typing import Final

from abeyance.cli.demo.stage import CUSTOMER, TELEVISION, tapped
from abeyance.cli.demo.telling import Told
from abeyance.cli.token import draw_qr
from abeyance.client import (
    Client,
    ClientError,
    DeviceRequest,
    PublicClient,
    Token,
    generate_key,
)

_SCOPE: Final = "openid statements:read"


def tell(told: Told) -> None:
    """Uma types a code in her browser; the television says whose it is now, and lets her leave."""
    stage, narrator = told.stage, told.narrator
    narrator.story(5, "A television that cannot type")
    narrator.say(
        "Uma's television shall show her statements. It has no keyboard and no browser, so it "
        "shows a code, and she goes to the bank with any other screen (RFC 8628)."
    )
    with (
        tapped(narrator) as http,
        Client(
            stage.issuer, TELEVISION, PublicClient(), dpop_key=generate_key(), http=http
        ) as client,
    ):
        try:
            narrator.scene(1, "A code on the screen; Uma compares it in her browser, and agrees")
            request = client.device_request(scope=_SCOPE)
            _show(told, request)
            told.customer.connect(
                request.verification_uri_complete or request.verification_uri, request.user_code
            )
            token = client.await_device(request)
            told.expect(isinstance(token, Token), "somebody else was asked")
            if isinstance(token, Token):
                _welcome(told, client, token)
        except ClientError as ended:
            told.expect(False, f"it ended as {ended}")


def _show(told: Told, request: DeviceRequest) -> None:
    """What the screen shows. The QR code is drawn here, and holds the address and nothing else."""
    narrator = told.narrator
    narrator.by("tv", f"shows: open {request.verification_uri} and type {request.user_code}")
    address = request.verification_uri_complete
    drawn = None if address is None else draw_qr(address)
    if drawn is not None:
        narrator.by("tv", "shows the same to whoever has a camera at hand:")
        narrator.show("", *drawn.splitlines())


def _welcome(told: Told, client: Client, token: Token) -> None:
    """Whoever films the screen and is faster brings the television into their account: so it
    says whose it has, before anybody uses it, and how to leave.
    """
    narrator = told.narrator
    narrator.scene(2, "The television says whose account it has, and how to leave it")
    who = client.identify(token, algorithm="ES256").subject
    told.expect(who == CUSTOMER, f"it has the account of {who}")
    narrator.by("tv", f"shows: this is the account of {who} now. Not yours? Choose Leave.")
    narrator.by("uma", "reads her name; in the evening she chooses Leave all the same")
    client.revoke(token)
    narrator.by("tv", "has left: its token is revoked, and a new one takes a new code")
