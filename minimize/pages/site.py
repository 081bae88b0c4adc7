"""Pages of the catalogue's site: a layout with a tree and a search, which loads nothing.

A page has one script, in the page itself, and a policy that permits no other: `script-src` is the digest of its text. Data for
the script is JSON without characters that could end its element. Without scripts, everything but the search works.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files
from typing import Any, Final

from minimize.pages import render_page, without_controls
from minimize.text import json_text

_ESCAPES: Final = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def render_site_page(template: str, **values: Any) -> str:
    """A page of the site from its template. `search` are the entries of the search."""
    from markupsafe import Markup  # late: comes with the template engine

    script = _script()
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    search = values.pop("search", None)
    entries = search and [{name: without_controls(text) for name, text in entry.items()} for entry in search]
    data = _embedded_json({"search": entries})
    trusted = {"script": Markup(script), "data": Markup(data)}  # noqa: S704  # our file, and JSON without marks of HTML
    return render_page(template, **trusted, script_digest=digest, **values)


def _embedded_json(value: Any) -> str:
    r"""JSON that can stand within a script element.

    >>> _embedded_json(["</script>"]).strip()
    '[\n  "\\u003c/script\\u003e"\n]'
    """
    return json_text(value).translate(_ESCAPES)


@cache
def _script() -> str:
    return files("minimize.pages").joinpath("templates/site.js").read_text("utf-8")
