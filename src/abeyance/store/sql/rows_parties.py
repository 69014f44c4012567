"""Clients, people and consents as documents.

What a document of an older version lacks has the meaning that it had then.
"""

from datetime import timedelta
from typing import Any

from abeyance.parties.client import Client, ClientId
from abeyance.parties.consent import Consent, ConsentId
from abeyance.parties.person import Person, PersonId, Role
from abeyance.proofs.certificate import CertificateSubject
from abeyance.proofs.jwk import KeySet, parse_public_jwk
from abeyance.store.sql.rows import instant, micros, parse_json, render_json
from abeyance.wire.strict_json import JsonObject


def client_document(client: Client) -> str:
    return render_json(
        {
            "id": client.id,
            "name": client.name,
            "auth_method": client.auth_method,
            "secret_digests": [digest.hex() for digest in client.secret_digests],
            "keys": None if client.keys is None else _key_set(client.keys),
            "assertion_alg": client.assertion_alg,
            "legacy_assertion_audience": client.legacy_assertion_audience,
            "grant_types": sorted(client.grant_types),
            "scope": sorted(client.scope),
            "default_scope": sorted(client.default_scope),
            "resources": sorted(client.resources),
            "details_types": sorted(client.details_types),
            "dpop_bound_access_tokens": client.dpop_bound_access_tokens,
            "owner": client.owner,
            "redirect_uris": list(client.redirect_uris),
            "native": client.native,
            "allowed_origins": sorted(client.allowed_origins),
            "rotate_refresh_tokens": client.rotate_refresh_tokens,
            "introspects": sorted(client.introspects),
            "profiles": None if client.profiles is None else sorted(client.profiles),
            "interaction_redirect_uris": list(client.interaction_redirect_uris),
            "require_pushed": client.require_pushed,
            "require_signed": client.require_signed,
            "request_object_alg": client.request_object_alg,
            "first_party": client.first_party,
            "pushes_redirect_uris": client.pushes_redirect_uris,
            "id_token_alg": client.id_token_alg,
            "default_max_age": _seconds(client.default_max_age),
            "pkce_optional": client.pkce_optional,
            "notification_endpoint": client.notification_endpoint,
            "jwks_uri": client.jwks_uri,
            "certificate_subject": _subject(client.certificate_subject),
            "certificate_bound": client.certificate_bound,
            "enabled": client.enabled,
            "barred": client.barred,
            "declared": client.declared,
        }
    )


def parse_client(document: str) -> Client:
    said = parse_json(document)
    return Client(
        id=ClientId(said["id"]),
        name=said["name"],
        auth_method=said["auth_method"],
        secret_digests=tuple(map(bytes.fromhex, said["secret_digests"])),
        keys=None if said["keys"] is None else _parse_key_set(said["keys"]),
        assertion_alg=said["assertion_alg"],
        legacy_assertion_audience=said["legacy_assertion_audience"],
        grant_types=frozenset(said["grant_types"]),
        scope=frozenset(said["scope"]),
        default_scope=frozenset(said["default_scope"]),
        resources=frozenset(said["resources"]),
        details_types=frozenset(said["details_types"]),
        dpop_bound_access_tokens=said["dpop_bound_access_tokens"],
        owner=said["owner"],
        redirect_uris=tuple(said.get("redirect_uris", ())),
        native=said.get("native", False),
        allowed_origins=frozenset(said.get("allowed_origins", ())),
        rotate_refresh_tokens=said.get("rotate_refresh_tokens", False),
        introspects=frozenset(said.get("introspects", ())),
        profiles=_parse_profiles(said.get("profiles")),
        interaction_redirect_uris=tuple(said.get("interaction_redirect_uris", ())),
        require_pushed=said.get("require_pushed", False),
        require_signed=said.get("require_signed", False),
        request_object_alg=said.get("request_object_alg"),
        first_party=said.get("first_party", False),
        pushes_redirect_uris=said.get("pushes_redirect_uris", False),
        id_token_alg=said.get("id_token_alg"),
        default_max_age=_parse_seconds(said.get("default_max_age")),
        pkce_optional=said.get("pkce_optional", False),
        notification_endpoint=said.get("notification_endpoint"),
        jwks_uri=said.get("jwks_uri"),
        certificate_subject=_parse_subject(said.get("certificate_subject")),
        certificate_bound=said.get("certificate_bound", False),
        enabled=said["enabled"],
        barred=said.get("barred", False),
        declared=said["declared"],
    )


def _subject(subject: CertificateSubject | None) -> list[str] | None:
    return None if subject is None else [subject.member, subject.value]


def _parse_subject(said: Any) -> CertificateSubject | None:
    return None if said is None else CertificateSubject(*said)


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())


def _parse_seconds(said: Any) -> timedelta | None:
    return None if said is None else timedelta(seconds=said)


def _parse_profiles(said: Any) -> frozenset[str] | None:
    return None if said is None else frozenset(said)


def person_document(person: Person) -> str:
    return render_json(
        {
            "id": person.id,
            "name": person.name,
            "roles": sorted(person.roles),
            "password_hash": person.password_hash,
            "email": person.email,
            "email_verified": person.email_verified,
            "enabled": person.enabled,
            "barred": person.barred,
            "declared": person.declared,
        }
    )


def parse_person(document: str) -> Person:
    said = parse_json(document)
    return Person(
        id=PersonId(said["id"]),
        name=said["name"],
        roles=frozenset(map(Role, said["roles"])),
        password_hash=said["password_hash"],
        email=said.get("email"),
        email_verified=said.get("email_verified", False),
        enabled=said["enabled"],
        barred=said.get("barred", False),
        declared=said["declared"],
    )


def consent_document(consent: Consent) -> str:
    return render_json(
        {
            "id": consent.id,
            "client_name": consent.client_name,
            "scope": sorted(consent.scope),
            "resources": sorted(consent.resources),
            "granted_at": micros(consent.granted_at),
            "confirmed_at": micros(consent.confirmed_at),
            "pairs": None if consent.pairs is None else sorted(map(list, consent.pairs)),
        }
    )


def parse_consent(person: str, client: str, document: str) -> Consent:
    said = parse_json(document)
    return Consent(
        id=ConsentId(said["id"]),
        person=PersonId(person),
        client=ClientId(client),
        client_name=said["client_name"],
        scope=frozenset(said["scope"]),
        resources=frozenset(said["resources"]),
        granted_at=instant(said["granted_at"]),
        confirmed_at=instant(said["confirmed_at"]),
        pairs=None
        if said.get("pairs") is None
        else frozenset((scope, resource) for scope, resource in said["pairs"]),
    )


def _key_set(keys: KeySet) -> JsonObject:
    # Not `render_jwks`, which names the keys that their owner has not named.
    return {"keys": [key.jwk for key in keys.keys], "skipped": list(keys.skipped)}


def _parse_key_set(said: Any) -> KeySet:
    return KeySet(tuple(map(parse_public_jwk, said["keys"])), tuple(said["skipped"]))
