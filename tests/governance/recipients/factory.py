"""A recipient as a mapping, whose every part a test may change, and a folder of recipients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minimize.governance.recipients import Recipient, recipient_from

SHIPPED = Path(__file__).parents[3] / "pipelines" / "recipients"
FIELDS: dict[str, Any] = {
    "app_id": {"do": "keep", "about": "identifies the app", "example": "com.example.mail"},
    "device_id": {"role": "identifier", "do": {"pseudonymize": {"key": "device"}}, "about": "names the device"},
    "token": {"role": "secret", "do": "pass_through", "about": "reaches the device"},
    "owner": {"role": "identifier", "do": "drop", "about": "no purpose needs it"},
}
SYNC: dict[str, Any] = {
    "direction": "outbound",
    "purpose": "quality_and_security",
    "text_version": 1,
    "text": "Which apps a device has goes to the vendor.",
    "fields": FIELDS,
}
CONTRACT: dict[str, Any] = {
    "reference": "C-1",
    "from": "2026-01-01",
    "until": "2027-01-01",
    "permits_transmission": True,
    "permitted_fields": ["app_id", "device_id", "token"],
    "retention": "30d",
}


def mapping(**changes: Any) -> dict[str, Any]:
    """The recipient `vendor`; what is None is left out."""
    whole = {"recipient": "vendor", "standing": "independent", "contract": CONTRACT, "functions": {"sync": SYNC}}
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def vendor(**changes: Any) -> Recipient:
    """The same, loaded."""
    return recipient_from(mapping(**changes))


def sync(**changes: Any) -> dict[str, Any]:
    """Its only function, changed, under its name."""
    return {"sync": {key: value for key, value in {**SYNC, **changes}.items() if value is not None}}


def write(folder: Path, name: str, body: Mapping[str, Any]) -> Path:
    """A file of the folder (JSON is YAML)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(body, indent=1))
    return path
