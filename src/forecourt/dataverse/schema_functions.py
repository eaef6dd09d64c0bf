"""Trigger functions of the native tables: what keeps a row right whoever writes it, plain SQL included.

::

    touch      a changed row gets the transaction's number as its version, and the time
    own        business unit, owning user and owning team follow the owner; fires where they do not fit
    exchange   the exchange rate follows the currency; amounts in base currency are generated columns
    full_name  follows first and last name until somebody gives another
    number     an autonumber that is written as null or '' draws its number
    point      a polymorphic lookup names a row that is there; which table it is of is noted beside it
    gone       rows that a polymorphic lookup names cannot go, or are let go of

``point`` and ``gone`` do for polymorphic lookups what foreign keys do for others. Functions hold no text of a person.
A body is compared with the database's own, so a function is made again only when it has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forecourt.dataverse.schema_types import BASE_CURRENCY, SCHEMA, SYSTEM_USER, literal, quoted


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the schema. ``arguments``: with their types; ``result``: of ``numbered`` not a trigger."""

    name: str
    body: str
    arguments: str = ""
    result: str = "trigger"

    @property
    def sql(self) -> str:
        """The statement that makes it, or makes it anew."""
        head = f"create or replace function {SCHEMA}.{quoted(self.name)}({self.arguments}) returns {self.result}"
        return f"{head} language plpgsql as $function${self.body}$function$"

    @property
    def signature(self) -> str:
        types = ", ".join(part.split()[-1] for part in self.arguments.split(", ") if part)
        return f"{SCHEMA}.{quoted(self.name)}({types})"


TOUCH = Function(
    "touch",
    """
begin
    new.versionnumber := pg_current_xact_id()::text::bigint;
    if new.modifiedon is not distinct from old.modifiedon then
        new.modifiedon := now();
    end if;
    return new;
end
""",
)

OWN = Function(
    "own",
    f"""
begin
    if new.ownerid is null then
        new.ownerid := '{SYSTEM_USER}';
    end if;
    select businessunitid into new.owningbusinessunit from {SCHEMA}.systemuser where systemuserid = new.ownerid;
    if found then
        new.owninguser := new.ownerid;
        new.owningteam := null;
        new.ownerid_type := 'systemuser';
        return new;
    end if;
    select businessunitid into new.owningbusinessunit from {SCHEMA}.team where teamid = new.ownerid;
    if not found then
        raise foreign_key_violation using message = 'the owner is neither a user nor a team';
    end if;
    new.owninguser := null;
    new.owningteam := new.ownerid;
    new.ownerid_type := 'team';
    return new;
end
""",
)

EXCHANGE = Function(
    "exchange",
    f"""
begin
    if new.transactioncurrencyid is null then
        new.transactioncurrencyid := '{BASE_CURRENCY}';
    end if;
    select exchangerate into new.exchangerate from {SCHEMA}.transactioncurrency
    where transactioncurrencyid = new.transactioncurrencyid;
    return new;
end
""",
)

FULL_NAME = Function(
    "full_name",
    """
declare
    before text := '';
begin
    if tg_op = 'UPDATE' then
        before := left(concat_ws(' ', old.firstname, old.lastname), 160);
    end if;
    if new.fullname is null or new.fullname = before then
        new.fullname := nullif(left(concat_ws(' ', new.firstname, new.lastname), 160), '');
    end if;
    return new;
end
""",
)

NUMBERED = Function(
    "numbered",
    """
declare
    digits text := nextval(numbers)::text;
    found text[];
    result text := form;
begin
    found := regexp_match(result, '\\{SEQNUM:(\\d+)\\}');
    result := replace(result, '{SEQNUM:' || found[1] || '}',
                      lpad(digits, greatest(found[1]::int, length(digits)), '0'));
    loop
        found := regexp_match(result, '\\{DATETIMEUTC:([^{}]*)\\}');
        exit when found is null;
        result := replace(result, '{DATETIMEUTC:' || found[1] || '}', to_char(now() at time zone 'utc',
            replace(replace(replace(replace(found[1], 'yyyy', 'YYYY'), 'dd', 'DD'), 'HH', 'HH24'), 'mm', 'MI')));
    end loop;
    loop
        found := regexp_match(result, '\\{RANDSTRING:(\\d+)\\}');
        exit when found is null;
        result := regexp_replace(result, '\\{RANDSTRING:\\d+\\}', (
            select string_agg(substr('ABCDEFGHJKLMNPQRSTUVWXYZ23456789', 1 + floor(random() * 32)::int, 1), '')
            from generate_series(1, found[1]::int)));
    end loop;
    return result;
end
""",
    "numbers regclass, form text",
    "text",
)

NUMBER = Function(
    "number",
    f"""
begin
    return jsonb_populate_record(new, jsonb_build_object(
        tg_argv[0], {SCHEMA}.numbered(tg_argv[1]::regclass, tg_argv[2])));
end
""",
)

SHARED = (TOUCH, OWN, EXCHANGE, FULL_NAME, NUMBERED, NUMBER)


def point(name: str, table: str, key: str, column: str, beside: str, targets: Sequence[tuple[str, str]]) -> Function:
    """The function for a polymorphic lookup. ``beside``: the column for the table's name; ``targets``: (table, key)."""
    value = f"new.{quoted(column)}"
    checks = []
    for target, target_key in targets:
        same = f" or {value} = new.{quoted(key)}" if target == table else ""
        checks.append(
            f"""
    perform from {SCHEMA}.{quoted(target)} where {quoted(target_key)} = {value} for key share;
    if found{same} then
        new.{quoted(beside)} := {literal(target)};
        return new;
    end if;"""
        )
    body = f"""
begin
    if {value} is null then
        new.{quoted(beside)} := null;
        return new;
    end if;{"".join(checks)}
    raise foreign_key_violation using message = 'the row that a lookup names does not exist',
        schema = '{SCHEMA}', table = {literal(table)}, column = {literal(column)};
end
"""
    return Function(name, body)


def gone(name: str, table: str, column: str, beside: str, target_key: str, clear: bool) -> Function:
    """The function for rows that are deleted while a polymorphic lookup of ``table`` may name them."""
    where = f"referring.{quoted(column)} = gone.{quoted(target_key)}"
    if clear:
        body = f"""
begin
    update {SCHEMA}.{quoted(table)} as referring set {quoted(column)} = null, {quoted(beside)} = null
    from gone where {where};
    return null;
end
"""
    else:
        body = f"""
begin
    if exists (select from {SCHEMA}.{quoted(table)} as referring join gone on {where}) then
        raise foreign_key_violation using message = 'a row is deleted that a lookup names',
            schema = '{SCHEMA}', table = {literal(table)}, column = {literal(column)};
    end if;
    return null;
end
"""
    return Function(name, body)
