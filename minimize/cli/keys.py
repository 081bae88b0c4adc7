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

# Commands import the library when they run, so that help and completion do not import Arrow.
if TYPE_CHECKING:
    from minimize.governance.workspace import Workspace
    from minimize.keys import KeyInfo, Keyring


@click.group(name="keys")
def keys_group() -> None:
    """Create, list, rotate or destroy keys.

    A keyring is a file of named keys in versions. Only its owner can read it.
    """


@keys_group.command("new")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--name", "names", multiple=True, metavar="NAME", help="Name of a key to create. Repeatable.")
@click.argument("more", nargs=-1, metavar="[NAME]…")
@options.as_json
def new_command(file: str, names: tuple[str, ...], more: tuple[str, ...], as_json: bool) -> None:
    """Create the keyring FILE. An existing file is not overwritten.

    The keyring has the named keys, a signing key and a subject key, all in version 1.
    """
    from minimize.keys import new_keyring

    keyring = new_keyring(file, (*names, *more), now=utc_now())
    text = f"created {file} with {', '.join(keyring.names())}. Keep it secret, and back it up."
    options.print_result(_keyring_json(file, keyring), as_json, text)


@keys_group.command("add")
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("name")
@options.as_json
def add_command(file: str, name: str, as_json: bool) -> None:
    """Add the key NAME, or a new version of it, to the keyring FILE."""
    from minimize.keys import add_key

    authorize("keys/add", {"keys": file})
    keyring = add_key(file, name, now=utc_now())
    options.print_result(_keyring_json(file, keyring), as_json, f"added {name}/{keyring.version_of(name)} to {file}")


@keys_group.command("list")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@options.keys
@options.as_json
def list_command(file: str | None, keys: str | None, as_json: bool) -> None:
    """List the names, versions and states of keys.

    Lists the keys in FILE (or --keys) and in the key service. Never prints a key.
    """
    from minimize.keys.discovery import key_service_versions

    keyring = _find_keyring(file or keys)
    body = _keyring_json(file or keys or str(keyring.path), keyring)
    body["keys"] += _key_lines(key_service_versions())
    options.print_result(
        body, as_json, "\n".join(f"{key['id']}\t{key['created']}\t{key['state']}" for key in body["keys"])
    )


@keys_group.command("rotate")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only this master key. Repeatable.")
@click.option(
    "--rewrite",
    multiple=True,
    type=click.Path(),
    metavar="OUTPUT",
    help="Encrypt the files of OUTPUT again under the new version. Repeatable.",
)
@click.option("--no-new", is_flag=True, help="Create no new version; only rewrite files.")
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
    """Create a new version of the master keys of FILE (or --keys). Old versions only decrypt from now on."""
    from minimize.governance.key_rotation import rotate_keys

    workspace = _workspace(file, keys, ledger, rewrite)
    done = rotate_keys(workspace, utc_now(), names=names, outputs=rewrite, new=not no_new)
    lines = [f"{each.id} encrypts new files" for each in done.versions] + [
        each.summary(line_width()) for each in done.receipts
    ]
    options.print_result(done.to_json(), as_json, "\n".join(lines) or "nothing to do")


@keys_group.command("shred")
@click.argument("words", nargs=-1, metavar="[FILE] [KEY]")
@click.option("--tenant", type=options.ID, metavar="TENANT", help="All master keys of this tenant, instead of KEY.")
@click.option(
    "--output", "outputs", multiple=True, type=click.Path(), metavar="DIR", help="Also search this output. Repeatable."
)
@click.option("--yes", is_flag=True, help=options.APPLY_HELP)
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
    """Destroy a version of a master key. Data encrypted under it becomes unreadable.

    KEY has the form encrypt.pseudonymized/1.
    """
    from minimize.governance.key_rotation import shred_keys

    key, *file = reversed(words) if tenant is None and words else (None, *words)
    if len(file) > 1:
        raise click.UsageError("too many arguments. Pass at most a keyring file and a key.")
    workspace = _workspace(file[0] if file else None, keys, ledger, outputs)
    done = shred_keys(workspace, utc_now(), key=key, tenant=tenant, outputs=outputs, yes=yes)
    options.print_result(done.to_json(), as_json, str(done))


@keys_group.command("public")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@options.keys
@options.as_json
def public_command(file: str | None, keys: str | None, as_json: bool) -> None:
    """Print the public signing key, as PEM.

    The key is read from FILE, or from --keys.
    """
    pem = _find_keyring(file or keys).public_key_pem().decode("ascii")
    options.print_result({"public_key": pem}, as_json, pem.rstrip("\n"))


def _find_keyring(file: str | None) -> Keyring:
    """Returns the keyring that is named, or else the configured one. Raises UsageError if there is none."""
    from minimize.keys import find_keyring

    found = find_keyring(file, Path.cwd())
    if found is None:
        raise click.UsageError(
            "no keyring. Pass FILE or --keys FILE, or set MINIMIZE_KEYS or `keys:` in minimize.yaml."
        )
    return found


def _workspace(file: str | None, keys: str | None, ledger: str | None, outputs: tuple[str, ...]) -> Workspace:
    """Returns the workspace. The ledger may be in the first named output."""
    from minimize.governance.workspace import Workspace

    return Workspace(ledger, outputs[0] if outputs else None, None, keys or file)


def _keyring_json(file: str, keyring: Keyring) -> dict[str, Any]:
    """Returns the printable part of a keyring: no key."""
    return {"file": file, "keys": _key_lines(keyring.listing())}


def _key_lines(lines: Sequence[KeyInfo]) -> list[dict[str, str]]:
    from minimize.keys.master_keys import key_state

    return [
        {"id": f"{line.name}/{line.version}", "created": seconds_text(line.created), "state": key_state(line, lines)}
        | ({} if line.destroyed is None else {"destroyed": seconds_text(line.destroyed)})
        for line in lines
    ]
