"""Writes small sites in the layout of the standard data model, for tests of the loader and of page rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import yaml

NAMESPACE = UUID("00000000-0000-0000-0000-0000000051fe")


def guid(name: str) -> str:
    """The id of whatever is called ``name``."""
    return str(uuid5(NAMESPACE, name))


class Folder:
    """A site folder with a home page, to which tests add what they are about."""

    def __init__(self, root: Path) -> None:
        self.root = root / "site"
        self.write("website.yml", {"adx_websiteid": guid("website"), "adx_name": "Test site"})
        self.page("Home", "/", None)

    def write(self, name: str, data: Any, head: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=True, allow_unicode=True)
        path.write_text(head + text, encoding="utf-8")
        return path

    def page(self, name: str, partial: str, parent: str | None = "Home", **more: Any) -> None:
        data = {"adx_webpageid": guid(name), "adx_name": name, "adx_partialurl": partial, "adx_isroot": True, **more}
        if parent is not None:
            data["adx_parentpageid"] = guid(parent)
        slug = name.lower().replace(" ", "-")
        self.write(f"web-pages/{slug}/{name}.webpage.yml", data)

    def roles(self, *names: str) -> None:
        rows = [
            {
                "adx_webroleid": guid(name),
                "adx_name": name,
                "adx_authenticatedusersrole": name.startswith("Authenticated"),
                "adx_anonymoususersrole": name.startswith("Anonymous"),
            }
            for name in names
        ]
        self.write("webrole.yml", rows)

    def rules(self, *rules: tuple[str, int, int, list[str]]) -> None:
        """Page rules as (page, right, scope, roles)."""
        rows = [
            {
                "adx_webpageaccesscontrolruleid": guid(f"rule {index}"),
                "adx_name": f"Rule {index}",
                "adx_webpageid": guid(page),
                "adx_right": right,
                "adx_scope": scope,
                "adx_webpageaccesscontrolrule_webrole": [guid(role) for role in roles],
            }
            for index, (page, right, scope, roles) in enumerate(rules)
        ]
        self.write("webpagerule.yml", rows)

    def settings(self, values: dict[str, str]) -> None:
        rows = [{"adx_name": name, "adx_value": value} for name, value in values.items()]
        self.write("sitesetting.yml", rows)

    def permission(self, name: str, **columns: Any) -> None:
        data = {
            "adx_entitypermissionid": guid(name),
            "adx_entityname": name,
            "adx_entitylogicalname": "account",
            "adx_scope": 756150000,
            "adx_read": True,
            **columns,
        }
        self.write(f"table-permissions/{name}.tablepermission.yml", data)
