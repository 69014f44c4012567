"""The file: who may have it, what stands in it, how it grows from version to version."""

import asyncio
import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from abeyance.access.canonical import canonical_json
from abeyance.parties.client import Client
from abeyance.parties.person import ConsoleSession, Invitation, Person, Role
from abeyance.pending.change import (
    Applied,
    AuditEvent,
    CastVote,
    Change,
    RecordInteraction,
    Superseded,
)
from abeyance.pending.handles import HandleKind, Home, mint_handle
from abeyance.pending.states import Event, Stage
from abeyance.pending.votes import Verdict
from abeyance.proofs.certificate import CertificateSubject
from abeyance.proofs.jwk import KeySet, parse_private_pem
from abeyance.store.migrations import Migration, read_migrations
from abeyance.store.ports import Retention, SecurityEvent, StoreAway, StoreInUse, StoreTooNew
from abeyance.store.sql import rows, rows_parties
from abeyance.store.sql.changes import Written
from abeyance.store.sql.db import Db
from abeyance.store.sqlite import SqliteStore, connection, schema
from abeyance.store.sqlite.lock import FileLock, lock_path
from abeyance.store.suite.granted import an_interaction
from abeyance.store.suite.ground import (
    ANN,
    ASKED,
    HOUR,
    NOW,
    SHOP,
    a_ballot,
    a_home,
    a_request,
    a_snapshot,
    a_token,
    advance,
    an_event,
    change,
    loaded,
    open_in,
    open_request,
    state_of,
)
from abeyance.wire.base64url import render_base64url
from tests.covers import covers
from tests.store.places import place_at

# --- one process


async def test_a_second_store_on_the_same_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    alias = tmp_path / "alias.db"
    async with place_at(path)():
        alias.symlink_to(path)
        for name in (path, alias):
            with pytest.raises(
                StoreInUse, match=rf"abeyance\.db is in use by process {os.getpid()}"
            ):
                await SqliteStore.open(name)
    async with place_at(alias)() as store:
        await store.check()


SECOND_PROCESS = """
import asyncio, sys
from abeyance.store.ports import StoreInUse
from abeyance.store.sqlite import SqliteStore

async def main() -> None:
    try:
        store = await SqliteStore.open(sys.argv[1])
    except StoreInUse as refused:
        print(refused)
    else:
        print("mine", flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


def second_process(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SECOND_PROCESS, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def test_another_process_is_refused_until_the_owner_is_gone_however_it_went(
    tmp_path: Path,
) -> None:
    path = tmp_path / "abeyance.db"
    async with place_at(path)():
        with second_process(path) as refused:
            said = await asyncio.to_thread(first_line, refused)
    assert said.startswith(f"{path} is in use by process {os.getpid()}")
    with second_process(path) as owner:
        assert await asyncio.to_thread(first_line, owner) == "mine"
        with pytest.raises(StoreInUse, match=f"process {owner.pid}"):
            await SqliteStore.open(path)
        owner.kill()
    async with place_at(path)() as store:
        await store.check()


async def test_a_refused_store_leaves_the_owners_work_alone(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    async with place_at(path)() as store:
        held = await open_request(store)
        with pytest.raises(StoreInUse):
            await SqliteStore.open(path)
        assert await state_of(store, held) == held.state
        with pytest.raises(StoreInUse):
            FileLock.take(path)


@covers("SEC-STORE-08")
async def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    path.touch(0o644)
    async with place_at(path)() as store:
        await open_request(store)
        names = [path, lock_path(path), Path(f"{path}-wal"), Path(f"{path}-shm")]
        assert [oct(each.stat().st_mode & 0o777) for each in names] == [oct(0o600)] * 4


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreAway, match="nowhere"):
        await SqliteStore.open(tmp_path / "nowhere" / "abeyance.db")
    (tmp_path / "letter.db").write_bytes(b"Dear Sir or Madam, " * 500)
    with pytest.raises(StoreAway, match=r"letter\.db"):
        await SqliteStore.open(tmp_path / "letter.db")


# --- durability as configured


async def test_the_writer_syncs_every_commit(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    connection.prepare_file(path)
    with closing(connection.connect_writer(path, None)) as db:
        says = {name: db.execute(f"PRAGMA {name}").get for name in ("journal_mode", "synchronous")}
        assert says == {"journal_mode": "wal", "synchronous": 2}
        for name in ("secure_delete", "foreign_keys", "fullfsync", "checkpoint_fullfsync"):
            assert db.execute(f"PRAGMA {name}").get == 1


# --- versions of the schema


def versions(path: Path) -> int:
    with closing(apsw.Connection(str(path))) as db:
        return schema.find_version(db)


async def test_an_empty_file_gets_the_newest_schema_once(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    newest = read_migrations(schema.FOLDER)[-1].version
    for _ in range(3):
        async with place_at(path)():
            pass
        assert versions(path) == newest
    db = apsw.Connection(str(path))
    assert db.execute("SELECT version FROM schema_version").fetchall() == [
        (number,) for number in range(1, newest + 1)
    ]
    db.close()


async def test_a_file_of_a_newer_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    async with place_at(path)():
        pass
    db = apsw.Connection(str(path))
    db.execute("INSERT INTO schema_version (version) VALUES (999)")
    db.close()
    with pytest.raises(StoreTooNew, match="schema 999"):
        await SqliteStore.open(path)
    assert versions(path) == 999
    with pytest.raises(StoreTooNew):  # and the lock was given back
        await SqliteStore.open(path)


def test_a_migration_that_is_cut_short_leaves_the_version_before_it(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    connection.prepare_file(path)
    db = connection.connect_writer(path, None)
    known = read_migrations(schema.FOLDER)
    schema.migrate(db, known)
    second = len(known) + 1
    cut = "CREATE TABLE half (a); INSERT INTO half VALUES (1); SELECT no_such_function();"
    with pytest.raises(apsw.SQLError):
        schema.migrate(db, (*known, Migration(second, cut)))
    assert schema.find_version(db) == len(known)
    assert not db.in_transaction
    assert db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'half'").fetchall() == []
    schema.migrate(db, (*known, Migration(second, "CREATE TABLE half (a);")))
    assert schema.find_version(db) == second
    db.close()


# --- what stands in the file


@covers("SEC-STORE-10")
@pytest.mark.parametrize("table", ["audit", "security_event"])
async def test_logs_are_appended_to_and_never_changed(tmp_path: Path, table: str) -> None:
    path = tmp_path / "abeyance.db"
    async with place_at(path)() as store:
        await store.apply(Change(a_home(), (), (an_event("opened"),)))
        await store.record(SecurityEvent(NOW, "signed_in", "person:ann", "password"))
    db = connection.connect_writer(path, None)
    before = db.execute(f"SELECT * FROM {table}").fetchall()
    assert len(before) == 1
    for statement in (
        f"UPDATE {table} SET actor = 'nobody'",
        f"DELETE FROM {table}",
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    ):
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            db.execute(statement)
    assert db.execute(f"SELECT * FROM {table}").fetchall() == before
    db.close()


@covers("OAUTH-LOG-07")
@pytest.mark.parametrize("table", ["audit", "security_event"])
async def test_disposal_opens_no_more_of_a_log_than_what_is_old(tmp_path: Path, table: str) -> None:
    path = tmp_path / "abeyance.db"
    async with place_at(path)() as store:
        for at in (NOW, NOW + HOUR):
            event = AuditEvent(n=1, at=at, event="opened", actor="system", detail={})
            await store.apply(Change(a_home(), (), (event,)))
            await store.record(SecurityEvent(at, "signed_in", "person:ann", "password"))
        kept, after = Retention(details=HOUR, tombstone=HOUR, audit=HOUR), None
        while True:
            page = await store.dispose(kept, now=NOW + HOUR, limit=9, after=after)
            if (after := page.next) is None:
                break
    db = connection.connect_writer(path, None)
    [left] = db.execute(f"SELECT at FROM {table}").fetchall()
    assert left == (rows.micros(NOW + HOUR),)
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET at = 0"):
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            db.execute(statement)
    db.close()


@covers("DTR-INV-01", "DTR-CANC-05")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE snapshot SET document = '{}'",
        "UPDATE vote SET verdict = 'approve'",
        "UPDATE request SET client_id = 'another'",
        "UPDATE request SET jkt = 'another'",
        "UPDATE request SET state = 'pending', detail = NULL WHERE state = 'denied'",
        "UPDATE request SET state = 'unheard of'",
        "DELETE FROM request",
    ],
)
async def test_what_was_asked_and_how_it_ended_cannot_be_rewritten(
    tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "abeyance.db"
    async with place_at(path)() as store:
        held = await open_in(store, Stage.DENIED)
        await store.apply(change(held.key, CastVote(1, a_ballot())))
    db = connection.connect_writer(path, None)
    with pytest.raises(apsw.ConstraintError):
        db.execute(statement)
    db.close()


@covers("DTR-INV-01", "OAUTH-LOG-07")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE snapshot SET document = json_set(document, '$.asked.scope', 'everything')",
        "UPDATE snapshot SET n = 2",
        "UPDATE vote SET verdict = 'approve', voter = 'ben'",
        "UPDATE vote SET voter = 'zoe'",
        "UPDATE interaction SET document = json_set(document, '$.person', 'zoe')",
        "UPDATE audit SET event = 'another'",
        "DELETE FROM audit",
        "UPDATE security_event SET at = 0",
        "DELETE FROM security_event",
    ],
)
async def test_whoever_erases_a_person_can_rewrite_no_more_than_who_it_was(
    tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "abeyance.db"
    async with place_at(path)() as store:
        held = await open_in(store, Stage.DENIED)
        steps = (
            RecordInteraction(1, an_interaction()),
            CastVote(1, a_ballot(verdict=Verdict.DENY)),
        )
        await store.apply(change(held.key, *steps, rows=(an_event("voted"),)))
        await store.record(SecurityEvent(NOW, "signed_in", "person:ann", "password"))
    db = connection.connect_writer(path, None)
    db.execute("BEGIN")
    db.execute("INSERT INTO erasure (was, becomes) VALUES ('ann', 'ben')")
    with pytest.raises(apsw.ConstraintError, match=r"append-only|never changes"):
        db.execute(statement)
    db.execute("UPDATE vote SET voter = 'ben'")
    db.execute("ROLLBACK")
    assert db.execute("SELECT count(*) FROM erasure").get == 0
    db.close()


@covers("SEC-STORE-01", "OAUTH-SEC-02")
async def test_no_part_of_a_secret_can_be_read_in_the_files(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    codes: list[str] = []
    digests: list[bytes] = []
    cookie, link = os.urandom(32), os.urandom(32)
    async with place_at(path)() as store:
        for stage in Stage:
            held = await open_in(store, stage)
            home, secret = held.key.home, os.urandom(32)
            code, handle = mint_handle(HandleKind.DEFERRAL_CODE, home, secret)
            request = a_request(home=home, n=2)
            await open_request(store, replace(request, held=replace(request.held, handle=handle)))
            digests.append(handle.digest)
            token = a_token(home)
            await store.apply(Change(home, (), (token, an_event("issued"))))
            codes += [code.reveal(), render_base64url(secret), render_base64url(token.jti)]
            codes += [secret.hex(), home.hex(), secret.decode("latin-1")]
        await store.put_session(ConsoleSession(sha(cookie), ANN, NOW, NOW))
        await store.put_invitation(Invitation(sha(link), ANN, NOW + HOUR))
        codes += [
            spelt for each in (cookie, link) for spelt in (each.hex(), render_base64url(each))
        ]
        found = everything(path)
    found += everything(path)  # the log has been taken into the database by now
    for secret_text in codes:
        assert secret_text[:12].encode("latin-1") not in found
    assert all(digest in found for digest in digests)  # the search is one that can find


@covers("SEC-STORE-03")
async def test_what_is_deleted_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    digest = os.urandom(32)
    async with place_at(path)() as store:
        await store.put_invitation(Invitation(digest, ANN, NOW + HOUR))
        person = Person(id=ANN, name="Ann", roles=frozenset())
        assert await store.accept_invitation(digest, person, NOW)
    assert digest not in everything(path)


def sha(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


def everything(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(path.name + "*")))


async def test_a_waiting_request_costs_little_more_than_what_it_asks(tmp_path: Path) -> None:
    path = tmp_path / "abeyance.db"
    n = 4_000  # of fewer, how full the pages happen to be tells too much
    snapshot = a_snapshot(jkt="x" * 43)
    rng = random.Random(1)
    homes = [Home(rng.randbytes(16)) for _ in range(n)]
    requests = [a_request(home=each, snapshot=snapshot, at_most=n) for each in homes]
    async with place_at(path)() as store:
        empty = await asyncio.to_thread(page_bytes, path)
        await asyncio.gather(
            *(
                store.apply(change(each.held.key, each, rows=(an_event("opened"),)))
                for each in requests
            )
        )
    each = (path.stat().st_size - empty) / n
    beyond = each - len(canonical_json(ASKED.to_json()))
    assert beyond < 1_100, f"{each:.0f} bytes a waiting request, {beyond:.0f} beyond what it asks"


def page_bytes(path: Path) -> int:
    with closing(apsw.Connection(str(path))) as db:
        return int(db.execute("PRAGMA page_count").get) * 4096


# --- when the disk refuses


@covers("SEC-STORE-11", "OAUTH-REVO-06")
async def test_on_a_full_disk_nothing_resolves_and_the_store_recovers_by_itself(
    tmp_path: Path,
) -> None:
    async with place_at(tmp_path / "abeyance.db")() as store:
        held = await open_in(store, Stage.APPROVED)
        redeem = change(
            held.key, advance(Event.REDEEM), rows=(a_token(held.key.home), an_event("redeemed"))
        )
        await bound_pages(store, now=True)
        # Something must need a page: fill what is left of the last ones.
        answers: Sequence[Any] = await asyncio.gather(
            *(store.apply(change(each.held.key, each)) for each in map(big, range(40))),
            return_exceptions=True,
        )
        assert any(isinstance(each, StoreAway) for each in answers)
        with pytest.raises(StoreAway, match="FullError"):
            await store.apply(replace(redeem, rows=(*redeem.rows, big_event())))
        assert await state_of(store, held) == held.state
        assert (await loaded(store, held.key)).held == held
        assert await store.find_events(held.key) == []
        await bound_pages(store, now=False)
        assert isinstance(await store.apply(redeem), Applied)
        assert isinstance(await store.apply(redeem), Superseded)


def big(_: int) -> Any:
    request = a_request()
    asked = replace(ASKED, details=({"type": "payment", "note": "x" * 6000},))
    return replace(request, snapshot=replace(request.snapshot, asked=asked))


def big_event() -> Any:
    return replace(an_event("redeemed"), detail={"note": "x" * 9000})


async def bound_pages(store: SqliteStore, *, now: bool) -> None:
    """Let the database grow no more, as a full disk would; or let it grow again."""

    async def bound(db: Db) -> Written[None]:
        [[count]] = await db.rows("PRAGMA page_count")
        await db.rows(f"PRAGMA max_page_count = {count if now else 1_000_000}")
        return Written(None)

    await store._writer.run(bound)


# --- documents


def a_full_client() -> Client:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return Client(
        id=SHOP,
        name="The shop",
        auth_method="private_key_jwt",
        secret_digests=(os.urandom(32),),
        keys=KeySet((parse_private_pem(pem).public,), ("one was too short",)),
        assertion_alg="ES256",
        legacy_assertion_audience=True,
        grant_types=frozenset({"client_credentials"}),
        scope=frozenset({"a", "b"}),
        default_scope=frozenset({"a"}),
        resources=frozenset({"https://api.example/"}),
        details_types=frozenset({"payment"}),
        dpop_bound_access_tokens=True,
        owner="carla",
        redirect_uris=("https://app.example/cb", "com.example.app:/cb"),
        native=True,
        allowed_origins=frozenset({"https://app.example"}),
        rotate_refresh_tokens=True,
        introspects=frozenset({"https://api.example/"}),
        profiles=frozenset({"wait"}),
        interaction_redirect_uris=("https://app.example/back",),
        require_pushed=True,
        require_signed=True,
        request_object_alg="ES256",
        first_party=True,
        pushes_redirect_uris=True,
        jwks_uri="https://shop.example/jwks",
        notification_endpoint="https://cb.example/",
        id_token_alg="EdDSA",
        default_max_age=timedelta(hours=1),
        pkce_optional=True,
        certificate_subject=CertificateSubject("tls_client_auth_san_dns", "a.example"),
        certificate_bound=True,
        enabled=False,
        barred=True,
        declared=False,
    )


def test_every_member_of_a_client_and_of_a_person_is_kept() -> None:
    client = a_full_client()
    ann = Person(
        id=ANN,
        name="Ann",
        roles=frozenset(Role),
        password_hash="$argon2id$",
        email="ann@example.org",
        email_verified=True,
        enabled=False,
        barred=True,
        declared=False,
    )
    for value in (client, ann):
        plain = [each.name for each in fields(value) if getattr(value, each.name) == each.default]
        assert plain == [], "give the new member a value here that is not its default"
    assert rows_parties.parse_client(rows_parties.client_document(client)) == client
    assert rows_parties.parse_person(rows_parties.person_document(ann)) == ann
