"""`minimize keys`: create, extend and list keyrings; rotate and destroy master keys."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from minimize.cli.options import FILE, OPTIONS, PATH
from minimize.cli.verb import examples, verb

# Commands import the library when they run, so that help and completion do not import Arrow.
if TYPE_CHECKING:
    from minimize.keys import Keyring
    from minimize.results import Printable
    from minimize.runs.execution import ProgressCallback
    from minimize.workspace import Workspace

_FILE: Final = click.Argument(["file"], type=FILE, required=False)


@click.group(name="keys")
def keys_group() -> None:
    """Create, list, rotate or destroy keys.

    A keyring is a file of named keys in versions. Only its owner can read it.
    """


@examples("minimize keys new minimize.keys --name device --name user")
@verb(
    "new",
    click.Argument(["file"], type=FILE),
    click.Option(["--name", "names"], multiple=True, metavar="NAME", help="Name of a key to create. Repeatable."),
    click.Argument(["more"], nargs=-1, metavar="[NAME]…"),
    group=keys_group,
)
def new_command(now: datetime, file: str, names: tuple[str, ...], more: tuple[str, ...]) -> Printable:
    """Create the keyring FILE. An existing file is not overwritten.

    The keyring has the named keys, a signing key, a subject key and a key for noise, all in version 1.
    """
    from minimize.keys.discovery import create_keyring

    return create_keyring(file, (*names, *more), now)


@examples("minimize keys add demo.keys network")
@verb(
    "add",
    click.Argument(["keys"], type=FILE, metavar="FILE"),
    click.Argument(["name"]),
    group=keys_group,
)
def add_command(now: datetime, keys: str, name: str) -> Printable:
    """Add the key NAME, or a new version of it, to the keyring FILE. The key `noise` has one version only."""
    from minimize.removal.keys import extend_keyring

    return extend_keyring(_workspace(keys, None, ()), keys, name, now)


@examples("minimize keys list demo.keys")
@verb("list", _FILE, "--keys", group=keys_group)
def list_command(file: str | None, keys: str | None) -> Printable:
    """List the names, versions and states of keys.

    Lists the keys in FILE (or --keys) and in the key service. Never prints a key.
    """
    from minimize.keys.discovery import list_keys

    return list_keys(_find_keyring(file or keys), file or keys)


@examples("minimize keys rotate demo.keys --rewrite out/device_telemetry")
@verb(
    "rotate",
    _FILE,
    click.Option(["--name", "names"], multiple=True, metavar="NAME", help="Only this master key. Repeatable."),
    click.Option(
        ["--rewrite", "outputs"],
        multiple=True,
        type=PATH,
        metavar="OUTPUT",
        help="Encrypt the files of OUTPUT again under the new version. Repeatable.",
    ),
    click.Option(
        ["--no-new", "new"],
        is_flag=True,
        flag_value=False,
        default=True,
        help="Create no new version; only rewrite files.",
    ),
    *("--ledger", "--keys"),
    group=keys_group,
)
def rotate_command(
    now: datetime,
    progress: ProgressCallback,
    file: str | None,
    keys: str | None,
    ledger: str | None,
    **chosen: Any,
) -> Printable:
    """Create a new version of the master keys of FILE (or --keys). Old versions only decrypt from now on."""
    from minimize.removal.keys import rotate_keys

    return rotate_keys(_workspace(keys or file, ledger, chosen["outputs"]), now, progress=progress, **chosen)


@examples("minimize keys shred demo.keys --tenant contoso")
@verb(
    "shred",
    click.Argument(["words"], nargs=-1, metavar="[FILE] [KEY]"),
    OPTIONS["--tenant"](metavar="TENANT", help="All master keys of this tenant, instead of KEY."),
    click.Option(
        ["--also", "outputs"], multiple=True, type=PATH, metavar="OUTPUT", help="Also search this output. Repeatable."
    ),
    *("--yes", "--ledger", "--keys"),
    group=keys_group,
)
def shred_command(
    now: datetime, words: tuple[str, ...], keys: str | None, ledger: str | None, **chosen: Any
) -> Printable:
    """Destroy a version of a master key. Data encrypted under it becomes unreadable.

    KEY has the form encrypt.pseudonymized/1.
    """
    from minimize.removal.keys import shred_keys

    key, *file = reversed(words) if chosen["tenant"] is None and words else (None, *words)
    if len(file) > 1:
        raise click.UsageError("too many arguments. Pass at most a keyring file and a key.")
    workspace = _workspace(keys or next(iter(file), None), ledger, chosen["outputs"])
    return shred_keys(workspace, now, key=key, **chosen)


@examples("minimize keys public demo.keys > public.json")
@verb("public", _FILE, "--keys", group=keys_group)
def public_command(file: str | None, keys: str | None) -> Printable:
    """Print the public signing key, as PEM.

    The key is read from FILE, or from --keys.
    """
    from minimize.keys.discovery import PublicKey

    return PublicKey(_find_keyring(file or keys).public_key_pem().decode("ascii"))


def _find_keyring(file: str | None) -> Keyring:
    """Returns the keyring that is named, or else the configured one. Raises UsageError if there is none."""
    from minimize.keys import find_keyring

    keyring = find_keyring(file, Path.cwd())
    if keyring is None:
        raise click.UsageError(
            "no keyring. Pass FILE or --keys FILE, or set MINIMIZE_KEYS or `keys:` in minimize.yaml."
        )
    return keyring


def _workspace(keys: str | None, ledger: str | None, outputs: tuple[str, ...]) -> Workspace:
    """Returns the workspace. The ledger may be in the first named output."""
    from minimize.workspace import Workspace

    return Workspace(ledger, outputs[0] if outputs else None, None, keys, shown=outputs)
