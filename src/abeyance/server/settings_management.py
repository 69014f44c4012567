"""Where probes and metrics are answered: on a listener of their own (SEC-OPS-10)."""

from dataclasses import dataclass
from typing import Final

from abeyance.server.settings_file import File
from abeyance.server.settings_values import Caution, ConfigurationError, Listen, parse_listen

KEY: Final = "management.listen"
DEFAULT: Final = Listen("127.0.0.1", 8401)
_OFF: Final = "off"


@dataclass(frozen=True, slots=True)
class Managed:
    """`listen`: none, if nobody shall ask. `demanded`: the settings name it, so it must be had;
    by default it is done without where somebody else has the address.
    """

    listen: Listen | None
    demanded: bool

    def of_worker(self, number: int) -> Listen:
        """Each worker has numbers of its own, and so a port: the next one, counted from 0."""
        if self.listen is None:
            raise ValueError("nobody is answered")
        port = self.listen.port
        return Listen(self.listen.host, port + number if port else 0)


def read_management(told: File, public: Listen, warnings: list[Caution]) -> Managed:
    text = told.management.listen
    if text is None:
        return Managed(DEFAULT, demanded=False)
    if text == _OFF:
        return Managed(None, demanded=False)
    listen = parse_listen(KEY, text)
    if listen == public:
        raise ConfigurationError(
            KEY, "is the address of server.listen", 'Choose another port, or "off".'
        )
    if not listen.is_loopback():
        warnings.append(
            Caution(KEY, "whoever reaches this address reads the metrics; nobody signs in there")
        )
    return Managed(listen, demanded=True)
