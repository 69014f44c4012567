"""`abeyance client list · show · add · replace · secret · disable · enable`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from abeyance.cli.admin.connect import Api, Where, at
from abeyance.cli.admin.printing import facts, pages, run, table, yes_no
from abeyance.cli.calls import BadCall

_HERE = Where()
Several = Annotated[tuple[str, ...], Parameter(negative=())]


def list_clients(*, where: Where = _HERE) -> int:
    """List the clients of a server."""
    return run(
        where,
        lambda api: pages(api, "/clients"),
        lambda told: table(
            [
                (
                    each["client_id"],
                    each["registration"]["client_name"],
                    each["registration"]["token_endpoint_auth_method"],
                    yes_no(each["enabled"], "", "disabled"),
                )
                for each in told["items"]
            ]
        ),
    )


def show(client_id: str, /, *, where: Where = _HERE) -> int:
    """Show a client, and the tag that a change must name."""

    def work(api: Api) -> Any:
        answer = api.call("GET", at("clients", client_id))
        return answer.body | {"etag": answer.etag}

    return run(where, work, _describe)


def add(
    client_id: str | None = None,
    /,
    *,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    name: str | None = None,
    scope: str = "",
    resource: Several = (),
    grant: Several = ("client_credentials",),
    redirect_uri: Several = (),
    authorization_details_type: Several = (),
    owner: str | None = None,
    public: Annotated[bool, Parameter(negative=())] = False,
    native: Annotated[bool, Parameter(negative=())] = False,
    dpop: Annotated[bool, Parameter(negative=())] = False,
    where: Where = _HERE,
) -> int:
    """Register a client. Its secret, if it has one, is printed once and never again.

    Parameters
    ----------
    client_id
        The id that it shall have.
    from_
        A JSON file with the whole registration (members of RFC 7591); - is standard input.
    name
        What people read.
    scope
        What it may ask, separated by spaces.
    resource
        A resource server that its tokens may be for; may be repeated.
    grant
        A grant type; may be repeated.
    redirect_uri
        Where browsers come back to; may be repeated.
    authorization_details_type
        A kind of authorization_details that it may ask; may be repeated.
    owner
        Who answers for it.
    public
        It has no credentials.
    native
        It is a program on somebody's device.
    dpop
        It must bind its tokens to a key.
    """
    if from_ is not None:
        body = _read(from_)
        if client_id is not None:
            body = {**body, "client_id": client_id}
    elif client_id is None or name is None:
        raise BadCall("client", "has no id or no name", "Give both, or --from FILE.")
    else:
        body = {
            "client_id": client_id,
            "client_name": name,
            "scope": scope,
            "resources": list(resource),
            "grant_types": list(grant),
            "redirect_uris": list(redirect_uri),
            "authorization_details_types": list(authorization_details_type),
            "owner": owner,
            "token_endpoint_auth_method": "none" if public else "client_secret_basic",
            "application_type": "native" if native else "web",
            "dpop_bound_access_tokens": dpop,
        }
    return run(where, lambda api: api.call("POST", "/clients", body).body, _describe)


def replace(
    client_id: str,
    /,
    *,
    from_: Annotated[Path, Parameter(name="--from")],
    if_match: str,
    where: Where = _HERE,
) -> int:
    """Replace the registration of a client.

    Parameters
    ----------
    client_id
        The client.
    from_
        A JSON file with the registration, as `show -o json` prints it; - is standard input.
    if_match
        The tag of the registration that you have seen.
    """
    body = _read(from_)
    return run(
        where,
        lambda api: api.call("PUT", at("clients", client_id), body, if_match=if_match).body,
        _describe,
    )


def secret(client_id: str, /, *, where: Where = _HERE) -> int:
    """Make a new secret; the one before stays valid until the next is made."""
    return run(
        where, lambda api: api.call("POST", at("clients", client_id, "secret")).body, _describe
    )


def disable(client_id: str, /, *, where: Where = _HERE) -> int:
    """Disable a client, and end what waits for it and what it was given."""
    return run(
        where, lambda api: api.call("POST", at("clients", client_id, "disable")).body, _describe
    )


def enable(client_id: str, /, *, where: Where = _HERE) -> int:
    """Enable a client again; what ended stays ended."""
    return run(
        where, lambda api: api.call("POST", at("clients", client_id, "enable")).body, _describe
    )


def _describe(told: Mapping[str, Any]) -> list[str]:
    registration = told["registration"]
    return facts(
        [
            ("client", told["client_id"]),
            ("name", registration["client_name"]),
            ("state", yes_no(told["enabled"], "enabled", "disabled")),
            ("declared", yes_no(told["declared"], "in the configuration", "")),
            ("method", registration["token_endpoint_auth_method"]),
            ("grants", ", ".join(registration["grant_types"])),
            ("scope", registration["scope"]),
            ("resources", ", ".join(registration["resources"])),
            ("redirects", ", ".join(registration["redirect_uris"])),
            ("details types", ", ".join(registration["authorization_details_types"])),
            ("requests", ", ".join(_demanded(registration))),
            ("first party", yes_no(registration["first_party"], "yes", "")),
            ("owner", registration["owner"] or ""),
            ("secret", told.get("client_secret") or ""),
            ("etag", told.get("etag") or ""),
        ]
    )


def _demanded(registration: Mapping[str, Any]) -> list[str]:
    """What its authorization requests must be."""
    demands = {
        "pushed": registration["require_pushed_authorization_requests"],
        "signed": registration["require_signed_request_object"],
    }
    return [word for word, demanded in demands.items() if demanded]


def _read(path: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
        value = json.loads(text)
    except (OSError, ValueError) as fault:
        why = getattr(fault, "strerror", None) or "it is no JSON"
        raise BadCall("--from", f"cannot be read ({why})", "Name a JSON file.") from None
    if not isinstance(value, dict):
        raise BadCall("--from", "holds no JSON object", "Name a JSON file.")
    found: dict[str, Any] = value.get("registration", value)
    return found
