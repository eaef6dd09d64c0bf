"""``forecourt schema``: JSON Schemas of the definition files, made from the records that read them.

A schema and the loader cannot disagree: both come from the same msgspec Struct. Descriptions of shapes are the
Structs' docstrings; those of fields are in ``FIELDS``, one sentence each, and the reference pages are made from them
too. Left out: the files under ``site/``, whose keys are the portal's data model and not ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from forecourt.dataverse import definitions as dv
from forecourt.integration.dual_write import definitions as dw
from forecourt.kernel import solution as head
from forecourt.operations import definitions as ops
from forecourt.operations.packages import definitions as packages

#: The dialect that msgspec writes.
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class FileKind:
    """A kind of definition file. ``pattern``: where its files are, below the solution's folder."""

    name: str
    pattern: str
    shape: type[head.Record]


KINDS: Final[tuple[FileKind, ...]] = (
    FileKind("solution", "solution.yaml", head.SolutionHeader),
    FileKind("entity", "operations/entities/*.yaml", ops.EntityFile),
    FileKind("enums", "operations/enums.yaml", ops.EnumsFile),
    FileKind("number-sequences", "operations/number_sequences.yaml", ops.NumberSequencesFile),
    FileKind("roles", "operations/roles.yaml", ops.RolesFile),
    FileKind("projects", "operations/projects.yaml", packages.ProjectsFile),
    FileKind("policy", "operations/policies/*.yaml", ops.PolicyFile),
    FileKind("table", "dataverse/tables/*.yaml", dv.TableFile),
    FileKind("dataverse-roles", "dataverse/roles.yaml", dv.DataverseRoles),
    FileKind("map", "maps/*.yaml", dw.MapFile),
)

#: What each field says, by shape. A test holds it against the shapes: nothing missing, nothing left over.
FIELDS: Final[dict[type[head.Record], dict[str, str]]] = {
    head.SolutionHeader: {
        "name": "Short name, in lower case; the default data folder is .forecourt/<name>.",
        "title": "Name for people: header of the portal, titles of its pages.",
        "publisher": "Who makes the solution.",
        "tenant": "Tenant in the path of the token endpoint: /<tenant>/oauth2/v2.0/token.",
        "external_users": "policy-required: an external user reads nothing of an entity that no active policy "
        "constrains. open: every row that roles and legal entities admit.",
        "connections": "Where the two databases are.",
        "legal_entities": "The companies that dataAreaId names.",
        "public": "What visitors and whoever registers are meant to do with every row of a table, by table: audit does "
        "not report it.",
        "anonymous_user": "Operations user that visitors without a sign-in act as; left out: they read no live data.",
        "applications": "Programs that get tokens with client id and secret.",
        "issuers": "OIDC issuers whose tokens are accepted.",
        "sample": "Sample data, loaded once into an empty database.",
    },
    head.Publisher: {"name": "Name of the publisher.", "prefix": "Prefix of the publisher's own tables and columns."},
    head.LegalEntityDefinition: {
        "id": "What dataAreaId holds.",
        "name": "Name of the company.",
        "currency": "Accounting currency, as an ISO 4217 code.",
    },
    head.Connections: {
        "dataverse": "Database of contacts, sign-ins and native tables: embedded, or a PostgreSQL URL.",
        "operations": "Database of the ERP: embedded, or a PostgreSQL URL, usually ${NAME}.",
    },
    head.Application: {
        "client_id": "Client id of the program.",
        "user": "Operations user that it acts as.",
        "secret": "Its secret, as ${NAME}; left out: made at the first start, written to applications.json.",
    },
    head.Issuer: {
        "issuer": "Exact iss of the tokens.",
        "audience": "Exact aud of the tokens.",
        "jwks_uri": "Address of the keys; left out: found by OIDC discovery.",
        "claim": "Claim that names the operations user.",
        "match": "What the claim is compared with: the user's id or e-mail.",
    },
    head.Sample: {
        "schema": "SQL files that run first, relative to the solution.",
        "generator": "Python file with loads(scale) and people().",
        "finish": "SQL files that run last, such as indexes.",
    },
    ops.EntityFile: {
        "name": "Physical name of the data entity; roles and virtual tables use it.",
        "public_name": "Public name: the entity type in $metadata.",
        "collection": "Public collection name: the entity set at /data.",
        "root": "The root (primary) data source.",
        "fields": "Fields by name, in the order of $metadata. Short form: Name: Alias.column.",
        "key": "Fields that identify a row, in order.",
        "id": "Number of the entity in row ids of its virtual table; left out: CRC-32 of the name.",
        "label": "Name of one row, for people.",
        "label_plural": "Name of many rows, for people.",
        "joins": "Further tables, joined to the root or to one another.",
        "company": "Field that holds the legal entity; left out: the entity is shared by all.",
        "relations": "Navigations to other entities, by name.",
        "enums": "Enums of this entity alone.",
        "read_only": "No field can be changed at any door.",
    },
    ops.Root: {
        "table": "The table, as schema.table.",
        "alias": "Name of the data source; left out: the table's name.",
        "record_id": "Column with a unique integer per row (RecId). A virtual table needs one.",
    },
    ops.Join: {
        "table": "The table, as schema.table.",
        "on": "Own column -> Alias.column of an earlier source, or a column of the root.",
        "alias": "Name of the data source; left out: the table's name.",
        "outer": "Keep rows of the root that have no match here.",
        "writable": "A write of the entity creates, changes and deletes its row, which must belong to it alone.",
    },
    ops.FieldDefinition: {
        "column": "Alias.column, or a column of the root.",
        "type": "Type; left out: the one of the database's column.",
        "enum": "Name of the enum, for a field of type enum.",
        "label": "Name of the field, for people.",
        "length": "Greatest length of a text; left out: the one of the database's column.",
        "memo": "A text of several lines.",
        "editable": "Whether it can be changed; fields of the key and of joins that are not writable never can.",
        "creatable": "Whether a new row may bring it; left out: as `editable`, and always for the key.",
        "required": "A row needs a value here.",
        "default": "Value of a new row that brings none.",
        "number_sequence": "Name of the number sequence that numbers new rows which bring no value.",
        "currency": "Field that holds the currency of this amount.",
    },
    ops.RelationDefinition: {
        "entity": "Physical name of the target entity.",
        "on": "Own field -> field of the target.",
        "many": "Leads to many rows. Otherwise `on` names the target's whole key.",
    },
    ops.EnumMemberDefinition: {
        "symbol": "The name that crosses the protocols.",
        "value": "What the table holds.",
        "label": "Name for people.",
    },
    ops.EnumsFile: {"enums": "Enums by name: {Symbol: value}, or a list of members with labels."},
    ops.NumberSequenceDefinition: {
        "format": "How a number is written: PO-{number:6}, {company}-{number}.",
        "start": "The first number.",
        "step": "What the next number is more.",
        "largest": "The last number; left out: there is none.",
        "per_company": "Each legal entity counts for itself.",
    },
    ops.NumberSequencesFile: {"sequences": "Number sequences by name."},
    ops.FieldGrants: {
        "read": "Fields that the grant opens to reading; left out: all.",
        "update": "Fields that the grant opens to change; left out: all.",
    },
    ops.EntityPermission: {
        "grant": "Operations that are granted.",
        "fields": "Fields that the grant is limited to.",
        "actions": "Actions that may be called; no operation brings them along.",
        "modes": "DataServices: /data and virtual tables. DataManagement: data packages and recurring jobs. All: both.",
    },
    ops.PrivilegeDefinition: {
        "entities": "Permissions by physical name of the data entity.",
        "label": "Name of the task, for people.",
    },
    ops.DutyDefinition: {"privileges": "Names of privileges.", "label": "Name of the duty, for people."},
    ops.RoleDefinition: {
        "label": "Name of the role, for people.",
        "duties": "Names of duties.",
        "privileges": "Names of privileges, beside those of the duties.",
        "roles": "Names of sub-roles, whose grants are inherited. Their contexts are not.",
        "context": "Context string that policies of context type RoleProperty look for.",
    },
    ops.UserDefinition: {
        "id": "User id.",
        "roles": "Names of roles, or name -> legal entities in which the role counts ([]: all).",
        "name": "Name of the person.",
        "email": "E-mail address; an OIDC issuer can name a user by it.",
        "company": "Default legal entity, for /data without cross-company.",
        "enabled": "A disabled user may do nothing.",
        "language": "Language of the person.",
        "attributes": "Further values by name; policies read them as $user.<name>.",
    },
    ops.UsersTable: {
        "table": "The table of users, as schema.table.",
        "id": "Column of the user id.",
        "name": "Column of the name.",
        "email": "Column of the e-mail address.",
        "company": "Column of the default legal entity.",
        "enabled": "Column that says whether the user is enabled; left out: all are.",
        "language": "Column of the language.",
    },
    ops.UserRolesTable: {
        "table": "The table of role assignments.",
        "user": "Column of the user id.",
        "role": "Column of the role's name.",
    },
    ops.UserCompaniesTable: {
        "table": "The table of legal entities to which a role of a user is limited.",
        "user": "Column of the user id.",
        "role": "Column of the role's name.",
        "company": "Column of the legal entity.",
    },
    ops.UserTables: {
        "users": "The users.",
        "roles": "Their roles.",
        "companies": "Limits to legal entities; left out: no role is limited.",
    },
    ops.RolesFile: {
        "privileges": "Privileges by name.",
        "duties": "Duties by name.",
        "roles": "Roles by name.",
        "users": "Users that are written in the solution.",
        "user_tables": "Tables of the ERP database that hold its users.",
    },
    ops.QueryJoin: {
        "table": "The table, as schema.table.",
        "on": "Own column -> Alias.column of an earlier table, or a column of the primary table.",
        "alias": "Name of the table in this query; left out: the table's name.",
    },
    ops.Range: {
        "column": "Alias.column, or a column of the primary table.",
        "equals": "The column holds this value; $user.id and its like name a value of the user.",
        "not_equals": "The column holds another value, or none.",
        "one_of": "The column holds one of these values.",
        "is_null": "true: the column is empty; false: it is not.",
    },
    ops.PolicyQuery: {
        "joins": "Tables that lead from the primary table to the user.",
        "ranges": "Conditions; all of them hold.",
    },
    ops.ConstrainedTable: {
        "table": "The table, as schema.table.",
        "relation": "Own column -> column of the table above.",
        "alias": "Name of the table, for explain.",
        "constrained": "false: the table is passed through and stays open itself.",
        "tables": "Tables that are constrained through this one.",
    },
    ops.Context: {
        "type": "What makes the policy active: a role by name, a role's context string, or a string of the session.",
        "role": "Name of the role, for RoleName.",
        "value": "The string, for RoleProperty and ContextString.",
    },
    ops.PolicyFile: {
        "name": "Name of the policy.",
        "primary_table": "The umbrella: the table whose rows stand for the people outside, as schema.table.",
        "context": "When the policy is active.",
        "query": "Which rows of the primary table are the user's.",
        "label": "Name for people.",
        "alias": "Name of the primary table in the query; left out: the table's name.",
        "constrain_primary": "Whether the primary table itself is constrained.",
        "constrained_tables": "Tables constrained through their relation to the primary table.",
        "operation": "Operations that the policy applies to.",
        "not_exists": "Constrained rows are those that are NOT related to the user's rows.",
        "enabled": "A policy that is not enabled constrains nothing.",
    },
    packages.ProjectEntityDefinition: {
        "entity": "Physical name of the data entity.",
        "format": "Format of its file.",
        "columns": "Fields, in order; left out: all that the owner of the job may read.",
        "file": "Name of the file in packages; left out: the entity's public name with the format's ending.",
    },
    packages.ProjectDefinition: {
        "entities": "Data entities, in the order in which they are imported.",
        "label": "Name for people.",
        "cross_company": "Exports hold every legal entity of the owner, unless one is asked for.",
    },
    packages.RecurringDefinition: {
        "activity": "GUID in the addresses of the job's queue: /api/connector/enqueue/<activity>.",
        "project": "Project of the job.",
        "owner": "Operations user that the job runs as, and that alone may use its queue.",
        "direction": "import takes what is enqueued; export puts a package into the queue at each interval.",
        "every_minutes": "Minutes between two runs.",
        "legal_entity": "Legal entity of the runs; left out: the owner's own.",
        "enabled": "A job that is not enabled does not run.",
    },
    packages.ProjectsFile: {
        "projects": "Data projects (definition groups) by name.",
        "recurring": "Recurring jobs by name.",
    },
    dv.Option: {"value": "Number of the choice.", "label": "Name for people."},
    dv.ColumnDefinition: {
        "type": "Type of the column.",
        "label": "Name for people.",
        "description": "What the column is for.",
        "schema_name": "The column's name in mixed case, and of a lookup's navigation property; left out: the name.",
        "length": "Greatest length of a text; left out: 100, of a memo none.",
        "precision": "Digits after the point, of a decimal 0 to 12 (left out: 2), of money shown only.",
        "min": "Least value of a number; the database checks it.",
        "max": "Greatest value of a number; the database checks it.",
        "required": "Forms ask for a value.",
        "default": "Value of a new row that brings none.",
        "behavior": "Of a datetime: user_local is a moment, shown in the person's time zone; time_zone_independent is "
        "what clocks show anywhere; date_only is a day.",
        "options": "The options of a choice.",
        "target": "Table that a lookup leads to.",
        "targets": "Tables that a polymorphic lookup leads to.",
        "relationship": "Schema name of the one-to-many relationship, or one for each table: the name of the "
        "collection on the other table. Left out: <target>_<table>_<column>.",
        "on_delete": "What becomes of this table's rows when the row goes that they lead to: clear empties the lookup, "
        "cascade deletes them, restrict refuses, none leaves the lookup as it is.",
        "on_assign": "Which of this table's rows get the new owner of the row that they lead to: none, cascade (all), "
        "active, user_owned (those of its old owner).",
        "format": "Format of an autonumber: {SEQNUM:n}, {RANDSTRING:n}, {DATETIMEUTC:yyyyMMdd} and text.",
        "seed": "First number of an autonumber.",
    },
    dv.StateDefinition: {
        "value": "Number of the state.",
        "label": "Name for people.",
        "reasons": "Status reasons of the state; the first one is what the state brings.",
    },
    dv.ReasonDefinition: {"value": "Number of the status reason.", "label": "Name for people."},
    dv.ManyToManyDefinition: {
        "name": "Schema name, and the name of the collection on both tables.",
        "target": "The other table.",
        "table": "Table that holds the pairs; left out: the schema name in lower case.",
        "set": "Entity set name of the pairs; left out: the plural of the table's name.",
    },
    dv.RelationshipDefinition: {
        "name": "Schema name: what table permissions name.",
        "target": "contact or account.",
        "match": "Own column -> column of the target; together they identify one row of it.",
        "label": "Name for people.",
    },
    dv.ViewColumn: {"column": "The column.", "label": "Heading; left out: the column's label.", "width": "Width."},
    dv.ViewOrder: {"column": "The column.", "descending": "Greatest first."},
    dv.View: {
        "id": "GUID by which lists of the site name the view.",
        "name": "Name for people.",
        "columns": "Columns, in order.",
        "order": "Sort columns, most significant first.",
        "filter": "Condition in OData syntax over the table's columns.",
    },
    dv.FormColumn: {
        "column": "The column.",
        "label": "Label; left out: the column's.",
        "read_only": "Shown, never asked for.",
        "required": "A value has to be given.",
    },
    dv.FormSection: {"columns": "Columns, in order.", "label": "Heading of the section."},
    dv.Subgrid: {
        "relation": "Collection navigation of the table that leads to the rows.",
        "view": "GUID of a view of the rows' table.",
        "label": "Heading.",
    },
    dv.Form: {
        "name": "Name by which basic forms of the site name the form.",
        "sections": "Sections, in order.",
        "subgrids": "Rows that belong to the row.",
    },
    dv.TableFile: {
        "table": "Logical name, in lower case; of a virtual table: mserp_ and the entity's name in lower case.",
        "virtual": "Physical name of the data entity, for a virtual table.",
        "extends": "The file adds columns, keys, relationships, views and forms to a table that is built in.",
        "set": "Entity set name; left out: the plural of the table's name.",
        "schema_name": "The table's name in mixed case; left out: the name.",
        "label": "Name of one row, for people.",
        "label_plural": "Name of many rows, for people.",
        "description": "What the table is for.",
        "ownership": "user: each row belongs to a user or team; organization: rows belong to all.",
        "primary_id": "Column of the row id; left out: <table>id.",
        "primary_name": "Column whose value names a row.",
        "states": "States with their status reasons; a new row has the first. Left out: Active and Inactive; []: none.",
        "notes": "Rows can have notes.",
        "columns": "Columns by name, for a native table.",
        "keys": "Alternate keys: name -> columns.",
        "relationships": "Relationships to contact and account by values, for table permissions. Lookups make theirs.",
        "many_to_many": "Many-to-many relationships to other native tables.",
        "views": "Views: what lists of the site show.",
        "forms": "Forms: what pages of one row show.",
    },
    dv.SecurityRole: {
        "label": "Name for people.",
        "tables": "Privileges with their depth, by table; a list: organization depth. '*' is every virtual table.",
    },
    dv.DataverseRoles: {
        "roles": "Security roles by name.",
        "users": "Security roles by operations user id.",
    },
    dw.ColumnMap: {
        "dataverse": "Column of the table. A lookup by natural key: customerid_account.accountnumber.",
        "direction": "Which way values go; left out: the map's direction.",
        "values": "Value map: operations value -> Dataverse value. An enum by its symbol, a choice by number or label.",
        "dataverse_default": "What Dataverse gets where operations has no value.",
        "operations_default": "What operations gets where Dataverse has no value.",
    },
    dw.Constants: {
        "operations": "Fields of the data entity that get a value of their own: name -> value.",
        "dataverse": "Columns of the table that get a value of their own: name -> value.",
    },
    dw.Filters: {
        "operations": "Condition in OData syntax over fields of the data entity.",
        "dataverse": "Condition in OData syntax over columns of the table.",
    },
    dw.Conflict: {
        "resolve": "Whose values stand: one side's, those changed last, or nobody's until a person decides.",
    },
    dw.Initial: {
        "master": "The side whose values stand where both have a row.",
        "order": "Among maps that do not depend on one another, lower ones are filled first.",
        "skip": "Start without copying the rows that are there already.",
    },
    dw.Alert: {
        "errors": "Class of the errors that count: application, system, concurrency, conflict, or any.",
        "count": "How many of them set the alert off.",
        "minutes": "Within how many minutes.",
        "action": "What the map does then, at once: nothing but tell, pause, or stop.",
        "notify": "Addresses of those who are to be told; they are in the alert's line of the log.",
    },
    dw.MapFile: {
        "name": "Name of the map, for commands and for other maps.",
        "entity": "Physical name of the data entity.",
        "table": "Logical name of the Dataverse table, a native one.",
        "columns": "Operations field -> column. Short form: Field: column. A list where a field goes to several.",
        "version": "Version of the map: two to four numbers. The highest of a name counts until one is chosen.",
        "label": "Name for people.",
        "publisher": "Who makes this version.",
        "mode": "live: both sides in one unit of work. queued: afterwards, in the order of the changes.",
        "direction": "Direction of the columns that name none.",
        "key": "Integration key, as columns of the table; left out: an alternate key of which all columns are mapped. "
        "The company belongs to it by itself.",
        "company": "The table's lookup to cdm_company, where it has several.",
        "constants": "Values for columns that have no source.",
        "filter": "Rows that travel, on either side.",
        "on_outage": "Of a live map, when the other side is away: queue the change, or refuse the write.",
        "conflict": "Rows that both sides have changed.",
        "versions": "Of a queued map: latest, or every version of a row in turn.",
        "initial": "How the rows that are there already are copied.",
        "depends_on": "Maps that come first, beside those that lookups lead to.",
        "alerts": "What happens when too much goes wrong.",
    },
}


def plain(docstring: str | None) -> str:
    """A docstring as one paragraph without reStructuredText's marks.

    >>> plain("A grant. ``[]``: all,\\n    see :class:`Role`.")
    'A grant. `[]`: all, see `Role`.'
    """
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", docstring or "")
    return " ".join(text.replace("``", "`").split())


def schema_of(kind: FileKind) -> dict[str, Any]:
    """The JSON Schema of a kind of file. Every property has a description."""
    documents, definitions = msgspec.json.schema_components([kind.shape], ref_template="#/$defs/{name}")
    shapes = {shape.__name__: shape for shape in FIELDS}
    for name, definition in definitions.items():
        shape = shapes.get(name)
        if shape is None:
            continue
        definition.pop("description", None)
        if shape.__doc__:
            definition["description"] = plain(shape.__doc__)
        for field, text in FIELDS[shape].items():
            definition["properties"][field]["description"] = text
    return {
        "$schema": DIALECT,
        "$id": f"urn:forecourt:schema:{kind.name}",
        "title": kind.pattern,
        **documents[0],
        "$defs": definitions,
    }


def render(kind: FileKind) -> str:
    """The schema as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(schema_of(kind)), indent=2).decode() + "\n"


@click.command()
@click.argument("kind", required=False, type=click.Choice([kind.name for kind in KINDS]))
@click.option(
    "--write",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write all schemas to DIR, as <kind>.schema.json.",
)
def schema(kind: str | None, folder: Path | None) -> None:
    """Prints the JSON Schema of a kind of definition file. Without KIND, lists the kinds.

    Editors complete and check YAML by it: put `# yaml-language-server: $schema=...` on the first line of a file.

    \b
    Examples:
      forecourt schema
      forecourt schema policy
      forecourt schema --write schemas
    """
    if kind is not None and folder is not None:
        raise click.UsageError("--write writes all kinds: leave KIND out.")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for item in KINDS:
            path = folder / f"{item.name}.schema.json"
            path.write_text(render(item), "utf-8")
            click.echo(path)
        return
    if kind is not None:
        click.echo(render(next(item for item in KINDS if item.name == kind)), nl=False)
        return
    width = max(len(item.name) for item in KINDS)
    for item in KINDS:
        click.echo(f"{item.name:{width}}  {item.pattern}")
