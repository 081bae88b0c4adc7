"""`minimize keys`: create, extend and list keyrings; rotate and destroy master keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.options import authorize
from minimize.cli.printing import line_width
from minimize.times import seconds_text, utc_now

# Each command imports what it calls when it runs, so that help and completion are shown without importing Arrow.
if TYPE_CHECKING:
    from minimize.governance.workspace import Workspace
    from minimize.keys import KeyInfo, Keyring


@click.group(name="keys")
def keys_group() -> None:
    """Keyrings: files with named, versioned keys that only their owner can read."""


@keys_group.command("new")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--name", "names", multiple=True, metavar="NAME", help="A key to make; may be given again.")
@click.argument("more", nargs=-1, metavar="[NAME]…")
@options.as_json
def new_command(file: str, names: tuple[str, ...], more: tuple[str, ...], as_json: bool) -> None:
    """Make the keyring FILE, never over another.

    It gets the named keys, a signing key and a subject key, all at version 1.
    """
    from minimize.keys import new_keyring

    keyring = new_keyring(file, (*names, *more), now=utc_now())
    text = f"made {file} with {', '.join(keyring.names())}; keep it secret and keep a copy"
    options.print_result(_keyring_json(file, keyring), as_json, text)


@keys_group.command("add")
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("name")
@options.as_json
def add_command(file: str, name: str, as_json: bool) -> None:
    """Add the key NAME to FILE, or a new version of it."""
    from minimize.keys import add_key

    authorize("keys/add", {"keys": file})
    keyring = add_key(file, name, now=utc_now())
    options.print_result(_keyring_json(file, keyring), as_json, f"{name}/{keyring.version_of(name)} stands in {file}")


@keys_group.command("list")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@options.keys
@options.as_json
def list_command(file: str | None, keys: str | None, as_json: bool) -> None:
    """The names, versions and states in FILE (else --keys), and in the key service where one is; never the keys."""
    from minimize.keys.discovery import key_service_versions

    keyring = _find_keyring(file or keys)
    body = _keyring_json(file or keys or str(keyring.path), keyring)
    body["keys"] += _key_lines(key_service_versions())
    options.print_result(
        body, as_json, "\n".join(f"{key['id']}\t{key['created']}\t{key['state']}" for key in body["keys"])
    )


@keys_group.command("rotate")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@click.option("--name", "names", multiple=True, metavar="NAME", help="Of this master key alone; may be given again.")
@click.option(
    "--rewrite",
    multiple=True,
    type=click.Path(),
    metavar="OUTPUT",
    help="Encrypt the files of OUTPUT anew; may be given again.",
)
@click.option("--no-new", is_flag=True, help="No new version: rewrite alone.")
@options.only_ledger
@options.keys
@options.as_json
def rotate_command(
    file: str | None,
    names: tuple[str, ...],
    rewrite: tuple[str, ...],
    no_new: bool,
    ledger: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """A new version of the master keys of FILE (else --keys), for new files; old versions only decrypt from now on."""
    from minimize.governance.key_rotation import rotate_keys

    house = _workspace(file, keys, ledger, rewrite)
    done = rotate_keys(house, utc_now(), names=names, outputs=rewrite, new=not no_new)
    told = [f"{each.id} is for new files" for each in done.versions] + [
        each.summary(line_width()) for each in done.receipts
    ]
    options.print_result(done.as_json(), as_json, "\n".join(told) or "there is nothing to do")


@keys_group.command("shred")
@click.argument("words", nargs=-1, metavar="[FILE] [KEY]")
@click.option("--tenant", type=options.ID, metavar="TENANT", help="All master keys of a tenant's own, instead of KEY.")
@click.option("--output", "outputs", multiple=True, type=click.Path(), metavar="DIR", help="Look at this output, too.")
@click.option("--yes", is_flag=True, help="Do it. Without it, what would become unreadable is shown.")
@options.only_ledger
@options.keys
@options.as_json
def shred_command(
    words: tuple[str, ...],
    tenant: str | None,
    outputs: tuple[str, ...],
    yes: bool,
    ledger: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Destroy a version of a master key (KEY: encrypt.pseudonymized/1), and with it all that is encrypted under it."""
    from minimize.governance.key_rotation import shred_keys

    key, *file = reversed(words) if tenant is None and words else (None, *words)
    if len(file) > 1:
        raise click.UsageError("shred takes a keyring file and a key")
    house = _workspace(file[0] if file else None, keys, ledger, outputs)
    done = shred_keys(house, utc_now(), key=key, tenant=tenant, outputs=outputs, yes=yes)
    options.print_result(done.as_json(), as_json, str(done))


@keys_group.command("public")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@options.keys
@options.as_json
def public_command(file: str | None, keys: str | None, as_json: bool) -> None:
    """The public half of the signing key of FILE (else --keys), as PEM."""
    pem = _find_keyring(file or keys).public_key_pem().decode("ascii")
    options.print_result({"public_key": pem}, as_json, pem.rstrip("\n"))


def _find_keyring(file: str | None) -> Keyring:
    """The keyring that is named, or found as every command finds it."""
    from minimize.keys import find_keyring

    found = find_keyring(file, Path.cwd())
    if found is None:
        raise click.UsageError("say which keyring: FILE, --keys FILE, MINIMIZE_KEYS, or `keys:` of minimize.yaml")
    return found


def _workspace(file: str | None, keys: str | None, ledger: str | None, outputs: tuple[str, ...]) -> Workspace:
    """Where things are; the ledger may lie in the first output that is named."""
    from minimize.governance.workspace import Workspace

    return Workspace(ledger, outputs[0] if outputs else None, None, keys or file)


def _keyring_json(file: str, keyring: Keyring) -> dict[str, Any]:
    """What may be shown of a keyring."""
    return {"file": file, "keys": _key_lines(keyring.listing())}


def _key_lines(lines: Sequence[KeyInfo]) -> list[dict[str, str]]:
    from minimize.keys.master_keys import key_state

    return [
        {"id": f"{line.name}/{line.version}", "created": seconds_text(line.created), "state": key_state(line, lines)}
        | ({} if line.destroyed is None else {"destroyed": seconds_text(line.destroyed)})
        for line in lines
    ]
