"""The common members of RFC 9396: their product is asked, several objects are a union."""

from abeyance.access.details import Detail, DetailsTypes, Keep
from abeyance.access.members import SetOf, Text, declare
from tests.covers import covers

FILES = declare(
    "files",
    title="Use {actions} at {locations}",
    members={
        "locations": SetOf(),
        "actions": SetOf(choices=frozenset({"read", "write"})),
        "identifier": Text(),
    },
)
TYPES = DetailsTypes([FILES])


def asked(locations: list[str], actions: list[str], identifier: str = "a") -> Detail:
    return {
        "type": "files", "locations": locations, "actions": actions, "identifier": identifier,
    }  # fmt: skip


@covers("OAUTH-RAR-04", "OAUTH-RAR-05", "EXT-REVISE-08")
def test_members_multiply_within_an_object_and_objects_add_up() -> None:
    both = asked(["https://a", "https://b"], ["read", "write"])
    assert TYPES.covered([asked(["https://a"], ["read"])], [both])
    assert not TYPES.covered([asked(["https://c"], ["read"])], [both])
    assert not TYPES.covered([asked(["https://a"], ["read"], "b")], [both])
    # Reading a and writing b is not reading and writing both.
    apart = [asked(["https://a"], ["read"]), asked(["https://b"], ["write"])]
    assert not TYPES.covered([both], apart)
    assert TYPES.covered(apart, [both, both])
    keep = Keep(frozenset({"locations:0", "actions:0", "actions:1"}), {})
    assert FILES.narrow(both, keep) == asked(["https://a"], ["read", "write"])
