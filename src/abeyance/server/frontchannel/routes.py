"""What the pages between a client and us answer."""

from typing import Final

from abeyance.server.frontchannel import authorize, device, interact
from abeyance.server.pages.route import Area, PageRoute

ROUTES: Final = (
    PageRoute(path="/authorize", get=authorize.begin, post=authorize.begin, area=Area.FRONT),
    PageRoute(
        path="/authorize/consent", get=authorize.show, post=authorize.answer, area=Area.FRONT
    ),
    PageRoute(path="/interact/{segment}", get=interact.show, post=interact.take),
    PageRoute(path="/interact/{segment}/start", post=interact.start),
    PageRoute(path="/interact/{segment}/return", get=interact.back),
    PageRoute(path="/interact/{segment}/finish", post=interact.finish),
)

# Not there where no device may ask.
DEVICES: Final = (
    PageRoute(path="/device", get=device.enter, post=device.confirm),
    PageRoute(path="/device/{home}", get=device.show, post=device.answer),
)
