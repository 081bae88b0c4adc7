"""`minimize keys`: make, extend and list keyrings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.allowing import may

if TYPE_CHECKING:
    from minimize.keys import Keyring


@click.group(name="keys")
def command() -> None:
    """Keyrings: files with named, versioned keys that only their owner can read."""


@command.command("new")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--name", "names", multiple=True, metavar="NAME", help="A key to make; may be given again.")
@click.argument("more", nargs=-1, metavar="[NAME]…")
@options.as_json
def new(file: str, names: tuple[str, ...], more: tuple[str, ...], as_json: bool) -> None:
    """Make the keyring FILE, never over another.

    It gets the named keys, a signing key and a subject key, all at version 1.
    """
    from minimize.keys import new_keyring

    keyring = new_keyring(file, (*names, *more), now=datetime.now(UTC))
    text = f"made {file} with {', '.join(keyring.names())}; keep it secret and keep a copy"
    options.show(_listed(file, keyring), as_json, text)


@command.command("add")
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("name")
@options.as_json
def add(file: str, name: str, as_json: bool) -> None:
    """Add the key NAME to FILE, or a new version of it."""
    from minimize.keys import add_key

    may("keys/add", {"keys": file})
    keyring = add_key(file, name, now=datetime.now(UTC))
    options.show(_listed(file, keyring), as_json, f"{name}/{keyring.version_of(name)} stands in {file}")


@command.command("list")
@click.argument("file", type=click.Path(dir_okay=False))
@options.as_json
def list_(file: str, as_json: bool) -> None:
    """The names and versions in FILE, never the keys."""
    from minimize.keys import Keyring

    body = _listed(file, Keyring.load(file))
    options.show(body, as_json, "\n".join(f"{key['id']}\t{key['created']}" for key in body["keys"]))


@command.command("public")
@click.argument("file", type=click.Path(dir_okay=False))
@options.as_json
def public(file: str, as_json: bool) -> None:
    """The public half of the signing key, as PEM."""
    from minimize.keys import Keyring

    pem = Keyring.load(file).public_key_pem().decode("ascii")
    options.show({"public_key": pem}, as_json, pem.rstrip("\n"))


def _listed(file: str, keyring: Keyring) -> dict[str, Any]:
    """What may be shown of a keyring."""
    lines = keyring.listing()
    keys = [{"id": f"{line.name}/{line.version}", "created": f"{line.created:%Y-%m-%dT%H:%M:%SZ}"} for line in lines]
    return {"file": file, "keys": keys}
