"""Sign-ins of a sample: made at first start with generated passwords, kept in ``credentials.json`` (mode 600).

Secrets that were generated for OAuth clients are in ``applications.json`` beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from forecourt.app import Forecourt
from forecourt.identity.applications import generate_secret
from forecourt.identity.passwords import generate_password
from forecourt.kernel.model import Where
from forecourt.kernel.solution import expand

FILE = "credentials.json"
APPLICATIONS = "applications.json"


def read_credentials(folder: Path, name: str = FILE) -> list[dict[str, Any]]:
    """The sign-ins (or OAuth clients) that were made, [] where none were."""
    path = folder / name
    return list(json.loads(path.read_text("utf-8"))) if path.is_file() else []


def write_credentials(folder: Path, entries: Sequence[Mapping[str, Any]], name: str = FILE) -> None:
    """Replaces the file in one step, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / (name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(list(entries), file, indent=2, ensure_ascii=False)
        file.write("\n")
    draft.replace(folder / name)


async def ensure_credentials(forecourt: Forecourt, people: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Makes a credential for everyone who has none yet; one whose password is not in the file gets a new one."""
    known = {entry["username"]: entry for entry in read_credentials(folder)}
    changed = False
    for person in people:
        username = str(person["username"])
        found = await forecourt.accounts.find(username)
        if found is not None and username in known:
            continue
        password = generate_password()
        if found is not None:
            await forecourt.accounts.set_password(found.id, password)
        else:
            contact = person.get("contactid") or person.get("contact_id")
            operations = None if contact else str(person["operations_user"])
            await forecourt.accounts.create(
                username, password, contact_id=UUID(str(contact)) if contact else None, operations_user=operations
            )
        known[username] = {
            "username": username,
            "password": password,
            "kind": person["kind"],
            "web_roles": list(person.get("web_roles", ())),
            "operations_user": person.get("operations_user"),
            "note": person.get("note", ""),
        }
        changed = True
    if changed:
        write_credentials(folder, list(known.values()))


async def ensure_applications(forecourt: Forecourt, root: Path, folder: Path) -> None:
    """Registers the solution's OAuth clients. One without a secret of its own gets a generated one, written down."""
    known = {item.client_id for item in await forecourt.applications.list()}
    generated = read_credentials(folder, APPLICATIONS)
    for application in forecourt.header.applications:
        if application.secret:
            secret = expand(application.secret, Where((root / "solution.yaml").as_posix(), 1))
            if application.client_id in known:
                await forecourt.applications.remove(application.client_id)
        elif application.client_id in known:
            continue
        else:
            secret = generate_secret()
            entry = {"client_id": application.client_id, "client_secret": secret, "operations_user": application.user}
            generated = [*(e for e in generated if e["client_id"] != application.client_id), entry]
            write_credentials(folder, generated, APPLICATIONS)
        await forecourt.applications.register(application.client_id, secret, application.user)
