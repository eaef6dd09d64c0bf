"""``dataverse/roles.yaml``: what it says, and what is refused with its line."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from forecourt.dataverse.roles import load_roles
from forecourt.kernel.errors import DefinitionErrors
from forecourt.security.rules import BASIC_USER, DataverseRules, Depth, Privilege
from forecourt.store.folder import Faults
from support.small_dataverse import MODEL

TABLES = frozenset({*MODEL.entities, "mserp_order"})


def load(folder: Path, text: str) -> DataverseRules:
    (folder / "dataverse").mkdir()
    (folder / "dataverse" / "roles.yaml").write_text(textwrap.dedent(text))
    faults = Faults()
    rules = load_roles(folder, TABLES, MODEL.entities, faults)
    faults.raise_any()
    return rules


def test_both_forms_of_a_table_say_privileges_with_depth(tmp_path: Path) -> None:
    rules = load(
        tmp_path,
        """
        roles:
          Seller:
            tables:
              deal: {read: business_unit, write: user, delete: none}
              region: [read, append_to]
              '*': [read]
        users:
          ann: [Seller, System Administrator]
        """,
    )
    seller = rules.roles["Seller"]
    assert seller.tables == {
        "deal": {Privilege.READ: Depth.BUSINESS_UNIT, Privilege.WRITE: Depth.USER, Privilege.DELETE: Depth.NONE},
        "region": {Privilege.READ: Depth.ORGANIZATION, Privilege.APPEND_TO: Depth.ORGANIZATION},
        "*": {Privilege.READ: Depth.ORGANIZATION},
    }
    assert (seller.where.file, seller.where.line) == (str(tmp_path / "dataverse" / "roles.yaml"), 3)
    assert rules.users == {"ann": frozenset({"Seller", "System Administrator"})}


def test_every_user_holds_a_role_for_virtual_tables_also_without_a_file(tmp_path: Path) -> None:
    rules = load_roles(tmp_path, TABLES, MODEL.entities, Faults())
    assert set(rules.roles) == {BASIC_USER}
    assert set(rules.roles[BASIC_USER].tables) == {"*"}


@pytest.mark.parametrize(
    ("role", "line", "message"),
    [
        ("{tables: {dael: [read]}}", 4, "table 'dael' is not known."),
        ("{tables: {deal: {read: all}}}", 4, "Invalid enum value 'all'"),
        ("{tables: {deal: [raed]}}", 4, "Invalid enum value 'raed'"),
        ("{tables: {region: {read: user}}}", 4, "rows of region have no owner"),
        ("{tables: {mserp_order: {read: business_unit}}}", 4, "rows of mserp_order have no owner"),
        ("{tables: {'*': {read: user}}}", 4, "rows of virtual tables have no owner"),
        ("{tables: {region: {assign: organization}}}", 4, "rows of region have no owner to assign"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, role: str, line: int, message: str) -> None:
    with pytest.raises(DefinitionErrors) as caught:
        load(tmp_path, f"\nroles:\n  Seller:\n    {role}\n")
    (error,) = caught.value.errors
    assert error.line == line, error
    assert message in error.message


def test_the_administrators_role_is_not_defined_anew(tmp_path: Path) -> None:
    with pytest.raises(DefinitionErrors, match="is built in"):
        load(tmp_path, "roles:\n  System Administrator: {tables: {deal: [read]}}\n")


def test_an_unknown_role_of_a_user_is_told(tmp_path: Path) -> None:
    with pytest.raises(DefinitionErrors, match="security role 'Seler' is not known"):
        load(tmp_path, "roles:\n  Seller: {}\nusers:\n  ann: [Seler]\n")
