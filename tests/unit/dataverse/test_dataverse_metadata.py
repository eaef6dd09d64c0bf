"""Native tables as entities, and all tables as metadata: names, relations, answers to what clients ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forecourt.dataverse.design import Design, design
from forecourt.dataverse.entities import native_tables, person_relationships, statuses
from forecourt.dataverse.metadata import Metadata
from forecourt.dataverse.metadata_items import label, spoken
from forecourt.dataverse.metadata_query import read
from forecourt.dataverse.solution import built_in_tables, load_dataverse
from forecourt.dataverse.tables import Tables
from forecourt.integration.virtual.catalog import virtual_tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.label import Label
from forecourt.kernel.model import DataSource, Entity, EntityField, Enum, EnumMember, Model, Through
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind
from forecourt.odata.csdl import metadata as csdl
from forecourt.odata.dialect import DATAVERSE
from forecourt.store.folder import Faults
from support.native_tables import company_files, table_file

VENDORS = Entity(
    "VendEntity",
    "Vendor",
    "Vendors",
    (DataSource("v", TableName("erp", "vend")),),
    {
        "Account": EntityField("Account", "v", "account", Kind.STRING, False, length=20),
        "Hold": EntityField("Hold", "v", "hold", Kind.ENUM, False, enum="VendHold"),
    },
    ("Account",),
    record_id=("v", "recid"),
    label="Vendor",
)
HOLD = Enum("VendHold", (EnumMember("No", 0, "No"), EnumMember("All", 1, "All")))

Get = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def tables() -> tuple[Design, Tables]:
    found = design(company_files(), built_in_tables())
    native, enums = native_tables(found)
    model = Model({VENDORS.name: VENDORS}, {HOLD.name: HOLD})
    virtual, choices = virtual_tables(model, [table_file("table: mserp_vendentity\nvirtual: VendEntity")])
    return found, Tables({**native, **virtual}, {**enums, **choices})


@pytest.fixture(scope="module")
def get(tables: tuple[Design, Tables]) -> Get:
    metadata = Metadata(tables[1], tables[0])

    def ask(path: str, **options: str) -> dict[str, Any]:
        given = {f"${name}": text for name, text in options.items()}
        return read(metadata, path.split("/"), given, "https://host/api/data/v9.2")

    return ask


def entity(tables: tuple[Design, Tables], name: str) -> Entity:
    return tables[1].by_name[name].entity


# ---------------------------------------------------------------------------------------------------------- entities


def test_lookups_are_fields_and_ways_to_rows(tables: tuple[Design, Tables]) -> None:
    order = entity(tables, "fc_order")
    assert order.fields["_fc_accountid_value"].targets == ("account",)
    assert order.fields["_fc_customerid_value"].target_column == "fc_customerid_type"
    to = {name: (relation.target, relation.column) for name, relation in order.relations.items() if not relation.many}
    assert to["fc_AccountId"] == ("account", "fc_accountid")
    assert to["fc_customerid_account"] == ("account", "fc_customerid")
    assert to["fc_customerid_contact"] == ("contact", "fc_customerid")
    assert to["fc_regardingid_fc_order"] == ("fc_order", "fc_regardingid")
    assert to["owningbusinessunit"] == ("businessunit", "owningbusinessunit")
    assert order.relations["ownerid"].others == ("team",)
    assert "fc_customerid_type" not in order.fields


def test_relationships_lead_back_with_what_a_delete_does(tables: tuple[Design, Tables]) -> None:
    account, order = entity(tables, "account"), entity(tables, "fc_order")
    back = account.relations["fc_account_orders"]
    assert (back.target, back.many, back.on, back.on_delete) == (
        "fc_order",
        True,
        (("accountid", "_fc_accountid_value"),),
        "clear",
    )
    assert order.relations["fc_order_lines"].on_delete == "cascade"
    assert order.relations["fc_order_fc_order_fc_parentid"].on_delete == "restrict"
    assert account.relations["contact_customer_accounts"].target == "contact"
    assert order.relations["fc_order_Annotations"].on_delete == "cascade"
    made = {r.on_delete for r in entity(tables, "systemuser").relations.values() if r.name.startswith("lk_")}
    assert made == {"none", "clear"}  # who made a row, and who administers a team


def test_every_way_has_its_mirror_in_the_model(tables: tuple[Design, Tables]) -> None:
    model = tables[1].model
    for found in model.entities.values():
        if found.virtual_of is not None:
            continue
        for relation in found.relations.values():
            target = model.entities[relation.target]
            assert all(own in found.fields and theirs in target.fields for own, theirs in relation.on)
            if relation.through is None and not relation.many:
                mirrored = {(theirs, own) for own, theirs in relation.on}
                assert any(set(back.on) == mirrored for back in target.relations.values() if back.many), relation
    assert b'NavigationProperty Name="fc_AccountId"' in csdl(model, DATAVERSE)


def test_pairs_are_a_relation_both_ways_and_rows_of_their_own(tables: tuple[Design, Tables]) -> None:
    name = "fc_order_contact"
    order, contact, pairs = (entity(tables, item) for item in ("fc_order", "contact", name))
    table = TableName("dataverse", name)
    assert order.relations[name].through == Through(table, (("fc_orderid",) * 2,), (("contactid",) * 2,))
    assert contact.relations[name].through == Through(table, (("contactid",) * 2,), (("fc_orderid",) * 2,))
    assert pairs.alternate_keys == {"fc_order_contact_pair": ("fc_orderid", "contactid")}
    assert entity(tables, "systemuserroles").collection == "systemuserrolescollection"


def test_keys_version_and_name_are_the_entitys(tables: tuple[Design, Tables]) -> None:
    order = entity(tables, "fc_order")
    assert order.alternate_keys == {"fc_order_code": ("fc_text", "_fc_accountid_value")}
    assert (order.version, order.key, order.primary_name) == ("versionnumber", ("fc_orderid",), "fc_number")
    assert order.collection == "fc_orders"


def test_what_the_system_keeps_cannot_be_written(tables: tuple[Design, Tables]) -> None:
    fields = entity(tables, "fc_order").fields
    kept = {name for name, field in fields.items() if not field.creatable}
    assert kept == {
        "exchangerate",
        "fc_amount_base",
        "_owningbusinessunit_value",
        "_owninguser_value",
        "_owningteam_value",
        "_createdby_value",
        "_modifiedby_value",
        "createdon",
        "modifiedon",
        "versionnumber",
    }
    assert {name for name, field in fields.items() if not field.editable} == kept | {"fc_orderid"}
    assert not fields["_ownerid_value"].nullable and fields["_transactioncurrencyid_value"].nullable
    assert fields["fc_amount"].currency == "_transactioncurrencyid_value"


def test_status_reasons_belong_to_states(tables: tuple[Design, Tables]) -> None:
    found = statuses(tables[0])
    assert (found["fc_order"].states, found["fc_order"].reasons) == ({1: 0, 2: 0, 3: 1}, {0: 1, 1: 3})
    assert found["account"].states == {1: 0, 2: 1}
    assert "fc_line" not in found and "systemuser" not in found


def test_lookups_to_people_are_what_table_permissions_stand_on(tables: tuple[Design, Tables]) -> None:
    found = person_relationships(tables[0])
    own = found["fc_order", "account_fc_order_fc_customerid"]
    assert (own.target, own.match) == ("account", (("_fc_customerid_value", "accountid"),))
    above = found["account", "contact_customer_accounts"]
    assert (above.target, above.match) == ("contact", (("accountid", "parentcustomerid"),))
    assert found["contact", "contact_customer_accounts"].match == (("_parentcustomerid_value", "accountid"),)


# ---------------------------------------------------------------------------------------------------------- metadata


def test_a_client_finds_a_table(get: Get) -> None:
    found = get(
        "EntityDefinitions", select="LogicalName,EntitySetName,PrimaryIdAttribute", filter="LogicalName eq 'account'"
    )
    (account,) = found["value"]
    assert found["@odata.context"] == (
        "https://host/api/data/v9.2/$metadata#EntityDefinitions(LogicalName,EntitySetName,PrimaryIdAttribute)"
    )
    assert account == {
        "LogicalName": "account",
        "EntitySetName": "accounts",
        "PrimaryIdAttribute": "accountid",
        "MetadataId": account["MetadataId"],
    }
    same = get(f"EntityDefinitions({account['MetadataId']})")
    assert (same["LogicalName"], same["SchemaName"], same["OwnershipType"]) == ("account", "Account", "UserOwned")
    assert same["@odata.context"].endswith("$metadata#EntityDefinitions/$entity")
    assert "Attributes" not in same
    assert same["DisplayName"]["UserLocalizedLabel"]["Label"] == "Account"
    assert get("EntityDefinitions(LogicalName='account')/EntitySetName")["value"] == "accounts"


def test_a_client_lists_tables_by_kind(get: Get) -> None:
    def names(condition: str) -> set[str]:
        return {item["LogicalName"] for item in get("EntityDefinitions", filter=condition)["value"]}

    custom = "IsPrivate eq false and (IsCustomEntity eq true or OwnershipType eq {}'UserOwned')"
    found = names(custom.format("Microsoft.Dynamics.CRM.OwnershipTypes"))
    assert {"fc_order", "fc_line", "mserp_vendentity", "account"} <= found
    assert "cdm_company" not in found
    assert names("TableType eq 'Virtual'") == {"mserp_vendentity"}
    assert names("startswith(LogicalName,'fc_') and not IsIntersect eq true") == {"fc_order", "fc_line"}
    assert names("CanCreateAttributes/Value eq true") == set()
    assert names("ObjectTypeCode le 2") == {"account", "contact"}
    both = "Microsoft.Dynamics.CRM.In(PropertyName='LogicalName',PropertyValues=['team',\"role\"])"
    assert names(both) == {"team", "role"}


def test_a_client_reads_the_options_of_choices(get: Get) -> None:
    path = "EntityDefinitions(LogicalName='fc_order')/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
    (choice,) = get(path, select="LogicalName", expand="OptionSet($select=Options)")["value"]
    assert (choice["LogicalName"], choice["@odata.type"]) == (
        "fc_choice",
        "#Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
    )
    options = choice["OptionSet"]["Options"]
    assert [(o["Value"], o["Label"]["UserLocalizedLabel"]["Label"]) for o in options] == [(1, "One"), (2, "Two")]


def test_status_reasons_name_their_state(get: Get) -> None:
    attributes = "EntityDefinitions(LogicalName='fc_order')/Attributes"
    status = get(f"{attributes}(LogicalName='statuscode')", expand="OptionSet")
    assert [(o["Value"], o["State"]) for o in status["OptionSet"]["Options"]] == [(1, 0), (2, 0), (3, 1)]
    state = get(f"{attributes}(LogicalName='statecode')", expand="OptionSet")
    assert (state["AttributeType"], state["AttributeTypeName"]) == ("State", {"Value": "StateType"})
    assert [o["DefaultStatus"] for o in state["OptionSet"]["Options"]] == [1, 3]


@pytest.mark.parametrize(
    ("column", "kind", "said"),
    [
        ("fc_number", "String", {"MaxLength": 30, "AutoNumberFormat": "SO-{SEQNUM:5}"}),
        ("fc_memo", "Memo", {"MaxLength": 2000}),
        ("fc_whole", "Integer", {"MinValue": -10, "MaxValue": 10}),
        ("fc_decimal", "Decimal", {"Precision": 4, "MaxValue": 99.5}),
        ("fc_amount_base", "Money", {"IsBaseCurrency": True, "CalculationOf": "fc_amount"}),
        ("fc_day", "DateTime", {"Format": "DateOnly", "DateTimeBehavior": {"Value": "DateOnly"}}),
        ("fc_clock", "DateTime", {"DateTimeBehavior": {"Value": "TimeZoneIndependent"}}),
        ("fc_customerid", "Customer", {"Targets": ["account", "contact"]}),
        ("fc_accountid", "Lookup", {"Targets": ["account"], "SchemaName": "fc_AccountId"}),
        ("ownerid", "Owner", {"Targets": ["systemuser", "team"]}),
        ("fc_orderid", "Uniqueidentifier", {"IsPrimaryId": True, "IsValidForUpdate": False}),
        ("fc_yes", "Boolean", {"DefaultValue": True}),
        ("versionnumber", "BigInt", {"IsValidForCreate": False, "IsCustomAttribute": False}),
    ],
)
def test_a_column_says_what_it_holds(get: Get, column: str, kind: str, said: dict[str, Any]) -> None:
    found = get(f"EntityDefinitions(LogicalName='fc_order')/Attributes(LogicalName='{column}')")
    assert found["AttributeType"] == kind
    assert {name: found[name] for name in said} == said


def test_tables_expand_their_columns_keys_and_relationships(get: Get) -> None:
    found = get(
        "EntityDefinitions(LogicalName='fc_order')",
        select="SchemaName",
        expand="Attributes($select=LogicalName;$filter=AttributeType eq 'Money'),Keys($select=KeyAttributes),"
        "ManyToOneRelationships($select=ReferencingEntityNavigationPropertyName;$filter=ReferencedEntity eq 'account'),"
        "ManyToManyRelationships",
    )
    assert found["SchemaName"] == "fc_Order"
    assert [item["LogicalName"] for item in found["Attributes"]] == ["fc_amount", "fc_amount_base"]
    assert found["Keys"][0]["KeyAttributes"] == ["fc_text", "fc_accountid"]
    assert {item["ReferencingEntityNavigationPropertyName"] for item in found["ManyToOneRelationships"]} == {
        "fc_customerid_account",
        "fc_regardingid_account",
        "fc_AccountId",
    }
    assert found["ManyToManyRelationships"][0]["IntersectEntityName"] == "fc_order_contact"


def test_a_relationship_says_what_a_delete_does(get: Get) -> None:
    found = get("RelationshipDefinitions", filter="SchemaName eq 'fc_order_lines'")["value"][0]
    assert found["@odata.type"] == "#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata"
    assert (found["ReferencedEntity"], found["ReferencingAttribute"]) == ("fc_order", "fc_orderid")
    assert found["CascadeConfiguration"]["Delete"] == "Cascade"
    cast = get("RelationshipDefinitions/Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata", select="SchemaName")
    assert {"teammembership_association", "fc_order_contact"} <= {item["SchemaName"] for item in cast["value"]}
    assert get("RelationshipDefinitions(SchemaName='teamroles_association')")["Entity2LogicalName"] == "role"


def test_enums_of_the_operations_side_are_global_choices(get: Get) -> None:
    found = get("GlobalOptionSetDefinitions(Name='vendhold')")
    assert [o["Value"] for o in found["Options"]] == [200000000, 200000001]
    hold = get(
        "EntityDefinitions(LogicalName='mserp_vendentity')/Attributes(LogicalName='mserp_hold')",
        expand="GlobalOptionSet($select=Name)",
    )
    assert hold["GlobalOptionSet"]["Name"] == "vendhold"
    table = get("EntityDefinitions(LogicalName='mserp_vendentity')")
    assert (table["ExternalName"], table["TableType"], table["OwnershipType"]) == (
        "VendEntity",
        "Virtual",
        "OrganizationOwned",
    )


def test_answers_are_counted_and_cut(get: Get) -> None:
    found = get("EntityDefinitions", top="2", count="true", select="LogicalName")
    assert len(found["value"]) == 2 and found["@odata.count"] > 10


@pytest.mark.parametrize(
    ("path", "options", "code"),
    [
        ("EntityDefinitions(LogicalName='none')", {}, "FC4042"),
        ("EntityDefinitions(00000000-0000-0000-0000-000000000000)", {}, "FC4042"),
        ("EntityDefinitions(Name='account')", {}, "FC1001"),
        ("EntityDefinitions(account)", {}, "FC1001"),
        ("EntityDefinitions/Attributes", {}, "FC4042"),
        ("EntityDefinitions(LogicalName='account')/Nothing", {}, "FC4042"),
        ("EntityDefinitions(LogicalName='account')/EntitySetName(LogicalName='x')", {}, "FC4042"),
        ("ManagedPropertyDefinitions", {}, "FC4042"),
        ("EntityDefinitions", {"filter": "LogicalName eq"}, "FC1001"),
        ("EntityDefinitions", {"filter": "LogicalName eq 'account' extra"}, "FC1001"),
        ("EntityDefinitions", {"filter": "(" * 500 + "1"}, "FC1001"),
        ("EntityDefinitions", {"filter": "not " * 5000}, "FC1001"),
        ("EntityDefinitions", {"orderby": "LogicalName"}, "FC1004"),
        ("EntityDefinitions", {"expand": "Nothing"}, "FC1002"),
        ("EntityDefinitions", {"top": "-1"}, "FC1004"),
    ],
)
def test_what_cannot_be_answered_is_refused(get: Get, path: str, options: dict[str, str], code: str) -> None:
    with pytest.raises(Refusal) as caught:
        get(path, **options)
    assert caught.value.code == code


def test_labels_are_in_every_language_that_the_solution_has() -> None:
    found = label(Label("Order", {"de": "Auftrag", "fr-CA": "Commande", "en": "Order"}, "en"), "x")
    assert [(item["LanguageCode"], item["Label"]) for item in found["LocalizedLabels"]] == [
        (1033, "Order"),
        (1031, "Auftrag"),
        (3084, "Commande"),
    ]
    assert found["UserLocalizedLabel"] == found["LocalizedLabels"][0]
    assert len({item["MetadataId"] for item in found["LocalizedLabels"]}) == 3
    assert label("Order", "x")["LocalizedLabels"] == [found["LocalizedLabels"][0]]


def test_labels_for_the_asker_are_in_the_first_language_that_they_have() -> None:
    found = {"value": [{"DisplayName": label(Label("Order", {"de": "Auftrag", "fr-CA": "Commande"}), "x")}]}

    def said(*languages: str) -> str:
        text = spoken(found, languages)["value"][0]["DisplayName"]["UserLocalizedLabel"]["Label"]
        assert isinstance(text, str)
        return text

    assert [said("de-AT"), said("fr-CA"), said("it", "de"), said("it"), said(), said("en", "de")] == [
        "Auftrag", "Commande", "Auftrag", "Order", "Order", "Order"]  # fmt: skip
    assert spoken(label(""), ("de",)) == label("")


def test_everything_built_in_is_called_in_german_and_french(tmp_path: Path) -> None:
    built_in = load_dataverse(tmp_path, frozenset(), Faults())
    entities = [built_in.native[name].entity for name in built_in.design.tables]
    texts = [text for entity in entities for text in (entity.label, entity.label_plural)]
    texts += [field.label for entity in entities for field in entity.fields.values()]
    texts += [member.label for enum in built_in.enums.values() for member in enum.members]
    texts += [column.label for table in built_in.design.tables.values() for column in table.columns.values()]
    texts += [state.label for table in built_in.design.tables.values() for state in table.states]
    assert len(texts) > 200
    missing = [
        text for text in texts if text and not (isinstance(text, Label) and {"de", "fr"} <= {*text.translations})
    ]
    assert missing == []
    account = built_in.design.tables["account"].columns
    assert [account[name].label.of("de") for name in ("createdon", "statuscode", "creditlimit_base")] == [
        "Erstellt am", "Statusgrund", "Kreditlimit (Basis)"]  # fmt: skip


def test_a_solution_may_call_what_is_built_in_otherwise(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "de.yaml").write_text("labels: {Account: Debitor, Owner: Eigner}", "utf-8")
    (tmp_path / "labels" / "it.yaml").write_text("labels: {Created On: Creato il}", "utf-8")
    table = load_dataverse(tmp_path, frozenset(), Faults()).native["account"].entity
    assert isinstance(table.label, Label) and table.label.of("de") == "Debitor"
    created, changed = table.fields["createdon"].label, table.fields["modifiedon"].label
    assert isinstance(created, Label) and isinstance(changed, Label)
    assert (created.of("it"), changed.of("it"), changed.of("de")) == ("Creato il", "Modified On", "Geändert am")
