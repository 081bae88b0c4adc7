"""Purposes: the closed list, additions of the configuration, the purposes that are always refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from minimize.config import CONFIG_KEYS, Config, load_config
from minimize.forms import Reading, form_error, when_read
from minimize.forms.yaml_nodes import FaultList, YamlNode, parse_yaml, require_utf8
from minimize.text import did_you_mean, did_you_mean_any, similar_words

ON_PREMISES_PURPOSE = "quality_and_security"
"""The only purpose of the data that the on-premises product sends, and of no other data."""
PURPOSES = ("customer_support", "service_maintenance", "operations", ON_PREMISES_PURPOSE)
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
    """Whether a purpose is profiling, advertising, marketing or sale, or a synonym of one of them.

    >>> is_refused_purpose("targeted-ads"), is_refused_purpose("ReSale"), is_refused_purpose("operations")
    (True, True, False)
    """
    folded = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", purpose).lower()
    words = re.findall(r"[^\W\d_]+", folded)
    return any(word in _REFUSED_WORDS for word in words) or any(stem in "".join(words) for stem in _REFUSED_STEMS)


def check_purpose(
    purpose: str, allowed_purposes: Iterable[str], faults: FaultList, line: int | None, key: str | None = None
) -> bool:
    """Whether a purpose is permitted; records a fault if not."""
    if is_refused_purpose(purpose):
        hint = "Use another purpose. Profiling, advertising, marketing and sale are prohibited under any name."
        faults.add("P009", f"the purpose `{purpose}` is prohibited", line=line, key=key, hint=hint)
        return False
    known = (*PURPOSES, *allowed_purposes)
    if purpose not in known:
        usual = [each for each in known if each != ON_PREMISES_PURPOSE]
        near = did_you_mean_any(similar_words(purpose, known))
        hint = near or did_you_mean(
            purpose, usual, "To use another purpose, add it under `purposes:` in minimize.yaml."
        )
        faults.add("P008", f"unknown purpose `{purpose}`", line=line, key=key, hint=hint)
        return False
    return True


def _require_permitted(purpose: str, reading: Reading) -> str:
    faults = FaultList()
    check_purpose(purpose, reading.purposes, faults, None)
    for fault in faults.found:
        raise form_error(fault.code, fault.message, fault.hint)
    return purpose


Purpose = Annotated[str, when_read(_require_permitted)]
"""A purpose in a form: from the closed list, or one that the configuration adds."""


def configured_purposes(start: Path, faults: FaultList) -> tuple[str, ...]:
    """The purposes that `minimize.yaml` adds. Faults of the file are recorded with its name."""
    config = load_config(start)
    if config.path is None:
        return ()
    own = FaultList(str(config.path))
    config_nodes(config, own)
    for key in config.unknown_keys:
        hint = did_you_mean(key.value, CONFIG_KEYS)
        own.add("P004", f"unknown key `{key.value}` in minimize.yaml", line=key.line, hint=hint)
    own.found.extend(fault for key, fault in config.faults.items() if key == "purposes")
    good = tuple(each.value for each in config.purposes if check_purpose(each.value, [each.value], own, each.line))
    faults.found.extend(own.found)
    return good


def config_nodes(config: Config, faults: FaultList) -> YamlNode | None:
    """The nodes of `minimize.yaml`, which follows the YAML rules of policies; None (and a fault) if it cannot be read."""
    content = require_utf8(config.content, faults)
    return None if content is None else parse_yaml(content.decode("utf-8-sig"), faults)
