"""`minimize keys`: make, extend and list keyrings."""

from __future__ import annotations

from datetime import UTC, datetime

import click


@click.group(name="keys")
def command() -> None:
    """Keyrings: files with named, versioned keys that only their owner can read."""


@command.command("new")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--name", "names", multiple=True, metavar="NAME", help="A key to make; may be given again.")
@click.argument("more", nargs=-1, metavar="[NAME]…")
def new(file: str, names: tuple[str, ...], more: tuple[str, ...]) -> None:
    """Make the keyring FILE with the named keys, a signing key and a subject key."""
    from minimize.keys import new_keyring

    keyring = new_keyring(file, (*names, *more), now=datetime.now(UTC))
    click.echo(f"made {file} with {', '.join(keyring.names())}; keep it secret and keep a copy")


@command.command("add")
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("name")
def add(file: str, name: str) -> None:
    """Add the key NAME to FILE, or a new version of it."""
    from minimize.keys import add_key

    keyring = add_key(file, name, now=datetime.now(UTC))
    click.echo(f"{name}/{keyring.version_of(name)} stands in {file}")


@command.command("list")
@click.argument("file", type=click.Path(dir_okay=False))
def list_(file: str) -> None:
    """The names and versions in FILE, never the keys."""
    from minimize.keys import Keyring

    for line in Keyring.load(file).listing():
        click.echo(f"{line.name}/{line.version}\t{line.created:%Y-%m-%dT%H:%M:%SZ}")


@command.command("public")
@click.argument("file", type=click.Path(dir_okay=False))
def public(file: str) -> None:
    """The public half of FILE's signing key, as PEM, for those who verify."""
    from minimize.keys import Keyring

    click.echo(Keyring.load(file).public_key_pem(), nl=False)
