"""Purposes: the closed list, additions of the configuration, and the purposes that are always refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from minimize.config import CONFIG_KEYS, find_config
from minimize.policy.faults import FaultList, did_you_mean
from minimize.policy.yaml_nodes import parse_yaml, read_utf8

PURPOSES = ("customer_support", "service_maintenance", "operations", "quality_and_security")
# fmt: off
_REFUSED_STEMS = (
    "profil", "advert", "market", "promot", "monetis", "monetiz", "commerciali", "retarget", "lookalike", "resale",
    "resell", "personalis", "personaliz", "audience", "sponsor", "leadgen", "werbung", "verkauf", "vermarkt", "publicit",
)
_REFUSED_WORDS = frozenset({
    "ad", "ads", "adtech", "sale", "sales", "sell", "selling", "seller", "sold", "target", "targets", "targeting",
    "targeted", "upsell", "upselling", "leads", "broker", "brokers", "brokerage", "broking", "rent", "rental",
    "trade", "trading", "promo", "scoring", "vente", "ventes",
})
# fmt: on


def is_refused_purpose(purpose: str) -> bool:
    """Whether a purpose is profiling, advertising, marketing or sale, or another word for one of them.

    >>> is_refused_purpose("targeted-ads"), is_refused_purpose("ReSale"), is_refused_purpose("operations")
    (True, True, False)
    """
    folded = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", purpose).lower()
    words = re.findall(r"[^\W\d_]+", folded)
    return any(word in _REFUSED_WORDS for word in words) or any(stem in "".join(words) for stem in _REFUSED_STEMS)


def check_purpose(
    purpose: str, allowed_purposes: Iterable[str], faults: FaultList, line: int | None, key: str | None = None
) -> bool:
    """Whether a purpose may be had; takes down a fault where not."""
    if is_refused_purpose(purpose):
        hint = "profiling, advertising, marketing and sale are refused, by whatever name"
        faults.add("P009", f"the purpose `{purpose}` is refused", line=line, key=key, hint=hint)
        return False
    known = (*PURPOSES, *allowed_purposes)
    if purpose not in known:
        hint = did_you_mean(purpose, known) or "a house adds its own under `purposes:` in minimize.yaml"
        faults.add("P008", f"the purpose `{purpose}` is not known", line=line, key=key, hint=hint)
        return False
    return True


def configured_purposes(start: Path, faults: FaultList) -> tuple[str, ...]:
    """The purposes that the house adds in its `minimize.yaml`; faults stand under that file's name."""
    file = find_config(start)
    if file is None:
        return ()
    own = FaultList(str(file))
    listed = _purposes_in_file(file, own)
    good = tuple(name for name, line in listed if check_purpose(name, [name], own, line))
    faults.found.extend(own.found)
    return good


def _purposes_in_file(file: Path, faults: FaultList) -> list[tuple[str, int | None]]:
    content = read_utf8(file, faults)
    root = None if content is None else parse_yaml(content.decode("utf-8-sig"), faults)
    for key, entry in ({} if root is None else root.entries).items():
        if key not in CONFIG_KEYS:
            faults.add("P004", f"a house file knows no `{key}`", line=entry.line, hint=did_you_mean(key, CONFIG_KEYS))
    node = None if root is None else root.get("purposes")
    if node is None:
        return []
    if not node.is_list or not all(isinstance(item.value, str) for item in node.items):
        faults.add("P006", "`purposes` wants a list of words", line=node.line)
        return []
    return [(str(item.value), item.line) for item in node.items]
