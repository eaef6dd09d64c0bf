"""What the fields of the files under ``dataverse/`` say."""

from __future__ import annotations

from typing import Final

from forecourt.dataverse import definitions as dv
from forecourt.kernel.solution import Record

#: What each field says, by shape.
FIELDS: Final[dict[type[Record], dict[str, str]]] = {
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
    dv.Chart: {
        "id": "GUID by which pages name the chart.",
        "name": "Title, for people.",
        "type": "How it is drawn.",
        "category": "Column whose values are the groups.",
        "grouping": "Of a column of dates: what its groups are; left out: days.",
        "measure": "What is computed of each group.",
        "column": "Column that is computed; left out where rows are counted.",
        "data": "Data description of an exported chart, instead of the words above.",
        "presentation": "Presentation description of an exported chart: how it is drawn.",
    },
    dv.FormColumn: {
        "column": "The column.",
        "label": "Label; left out: the column's.",
        "read_only": "Shown, never asked for.",
        "required": "A value has to be given.",
    },
    dv.FormSection: {
        "columns": "Columns, in order.",
        "label": "Heading of the section.",
        "tab": "Name of the tab that the section stands on: a step or a form may show one tab alone.",
    },
    dv.Subgrid: {
        "relation": "Collection navigation of the table that leads to the rows.",
        "view": "GUID of a view of the rows' table.",
        "label": "Heading.",
        "name": "Name by which form metadata of a site names the subgrid; left out: the relation's.",
    },
    dv.Form: {
        "name": "Name by which basic forms of the site name the form.",
        "sections": "Sections, in order.",
        "subgrids": "Rows that belong to the row.",
    },
    dv.TableFile: {
        "table": "Logical name, in lower case; of a virtual table: mserp_ and the entity's name in lower case.",
        "virtual": "Physical name of the data entity, for a virtual table.",
        "extends": "The file adds columns, keys, relationships, views, forms and charts to a table that is built in.",
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
        "charts": "Charts: groups of a view's rows, drawn by the Liquid tag chart.",
    },
    dv.SecurityRole: {
        "label": "Name for people.",
        "tables": "Privileges with their depth, by table; a list: organization depth. '*' is every virtual table.",
    },
    dv.DataverseRoles: {
        "roles": "Security roles by name.",
        "users": "Security roles by operations user id.",
    },
}
