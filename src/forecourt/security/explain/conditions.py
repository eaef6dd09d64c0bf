"""Which condition a row fails, with which values.

A predicate is taken apart from above: of AND the parts that fail, of OR all parts (each would do). For a leaf the
values that it compared are given. An EXISTS is walked along its path: where a row of the next table is there, the walk
goes on from it; where none fits, the values that are compared are set against those that would do (the umbrella), and
a table whose single missing row would make the difference is named with the values that the row would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from forecourt.kernel.predicate import (
    TRUE,
    And,
    Arith,
    Bool,
    Column,
    Compare,
    Const,
    Exists,
    In,
    InParam,
    IsNull,
    Match,
    Not,
    Operand,
    Or,
    Param,
    Predicate,
    all_of,
)
from forecourt.kernel.relation import Select, Source, TableName, aliases_of
from forecourt.security.explain.answers import Failed
from forecourt.security.explain.facts import columns_in, conjuncts, params_in
from forecourt.security.explain.looking import Sight
from forecourt.security.explain.words import SHOWN, shown, shown_tuple, some

_WORDS = {"eq": "is not", "ne": "is", "lt": "is not below", "le": "is above", "gt": "is not above", "ge": "is below"}
_OPPOSITE = {"eq": "is", "ne": "is not", "lt": "is below", "le": "is not above", "gt": "is above", "ge": "is not below"}


@dataclass(frozen=True)
class Missing:
    """A row that is not there: with it, the condition would hold. ``distance``: how far it is from being a mere
    membership: it would say who the person is, or be a second row of what the asked row hangs on."""

    table: TableName
    values: tuple[tuple[str, object], ...]
    distance: int = 0

    @property
    def text(self) -> str:
        pairs = ", ".join(f"{name} = {shown(value)}" for name, value in self.values)
        return f"{self.table} with {pairs}" if pairs else str(self.table)


@dataclass(frozen=True)
class Wanted:
    """Values of a column of the row, any of which would do."""

    column: Column
    values: tuple[object, ...]


@dataclass(frozen=True)
class Findings:
    """What failed, as text and as what could be done about it."""

    failed: tuple[Failed, ...] = ()
    missing: tuple[Missing, ...] = ()
    wanted: tuple[Wanted, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.failed + other.failed, self.missing + other.missing, self.wanted + other.wanted)


async def findings(sight: Sight, condition: Predicate) -> Findings:
    """Why the (first) row of the sight does not meet the condition. Nothing where it does, or where there is no row."""
    leaves = list(dict.fromkeys(_leaves(condition)))
    truths = await sight.truths(leaves)
    if truths is None:
        return Findings()
    known = dict(zip(leaves, truths, strict=True))
    found = Findings()
    for leaf, wanted in dict.fromkeys(_failing(condition, known, True)):
        found += await _leaf(sight, leaf, wanted)
    return found


def _leaves(item: Predicate) -> Iterator[Predicate]:
    match item:
        case And(items) | Or(items):
            for child in items:
                yield from _leaves(child)
        case Not(child):
            yield from _leaves(child)
        case _:
            yield item


def _true(item: Predicate, known: Mapping[Predicate, bool]) -> bool:
    match item:
        case And(items):
            return all(_true(child, known) for child in items)
        case Or(items):
            return any(_true(child, known) for child in items)
        case Not(child):
            return not _true(child, known)
        case _:
            return known[item]


def _failing(item: Predicate, known: Mapping[Predicate, bool], wanted: bool) -> Iterator[tuple[Predicate, bool]]:
    """The leaves to blame for the predicate not being ``wanted``, with what each would have to be."""
    if _true(item, known) is wanted:
        return
    match item:
        case And(items) | Or(items):
            for child in items:
                yield from _failing(child, known, wanted)
        case Not(child):
            yield from _failing(child, known, not wanted)
        case _:
            yield item, wanted


async def _leaf(sight: Sight, leaf: Predicate, wanted: bool) -> Findings:
    match leaf:
        case Bool():
            return Findings((Failed("no row is admitted"),))
        case Exists(select) if wanted:
            return await _path(sight, select)
        case Exists(select):
            return await _forbidden(sight, select)
        case _:
            return await _comparison(sight, leaf, wanted)


# ------------------------------------------------------------------------------------------------ comparisons


async def _comparison(sight: Sight, leaf: Predicate, wanted: bool) -> Findings:
    columns = columns_in(leaf)
    rows = await sight.columns(columns)
    values = dict(zip(columns, rows[0], strict=True)) if rows else {}
    words = _WORDS if wanted else _OPPOSITE

    def said(operand: Operand) -> str:
        return _named(operand, values, sight)

    match leaf:
        case Compare(op, left, Param(name)) if sight.values[name] is None:
            text = f"{said(left)}: the person has no {name}"
        case Compare(op, left, right):
            text = f"{said(left)} {words[op]} {said(right)}"
        case In(operand, listed):
            among = ", ".join(said(value) for value in listed) or "nothing"
            text = f"{said(operand)} is {'not ' if wanted else ''}among {among}"
        case InParam(operand, param):
            listed_values = sight.values[param] or []
            among = some([shown(value) for value in listed_values] if isinstance(listed_values, list | tuple) else [])
            text = f"{said(operand)} is {'not ' if wanted else ''}among {among} ({_source(param)})"
        case IsNull(operand):
            text = f"{said(operand)} is {'not ' if wanted else ''}null"
        case Match(op, left, right):
            text = f"{said(left)} does {'not ' if wanted else ''}match ({op}) {said(right)}"
        case _:
            text = "the row's version has not changed"
    return Findings((Failed(text),), wanted=tuple(_would(leaf, wanted, sight.values)))


def _would(leaf: Predicate, wanted: bool, values: Mapping[str, object]) -> Iterator[Wanted]:
    """Values for the row's column that would meet a comparison."""
    match leaf:
        case Compare("eq", Column() as column, (Const() | Param()) as other) if wanted:
            value = other.value if isinstance(other, Const) else values[other.name]
            if value is not None:
                yield Wanted(column, (value,))
        case In(Column() as column, listed) if wanted:
            known = tuple(_value(value, {}, values) for value in listed)
            yield Wanted(column, tuple(value for value in known if value is not None))
        case InParam(Column() as column, param) if wanted:
            listed_values = values[param]
            if isinstance(listed_values, list | tuple) and listed_values:
                yield Wanted(column, tuple(listed_values))


# ------------------------------------------------------------------------------------------------------ paths


async def _path(sight: Sight, select: Select) -> Findings:
    """Why no row is there along the path of an EXISTS."""
    parts = list(conjuncts(all_of(select.where, *(source.on for source in select.sources))))
    nested = [part for part in parts if isinstance(part, Exists)]
    plain = all_of(*(part for part in parts if not isinstance(part, Exists)))
    if nested:
        bare = tuple(replace(source, on=TRUE) for source in select.sources)
        further = sight.narrowed(bare, plain)
        truths = await further.truths(nested)
        if truths is not None:
            found = Findings()
            for child, truth in zip(nested, truths, strict=True):
                if not truth:
                    found += await _path(further, child.select)
            return replace(found, wanted=())
    return await _here(sight, flat(select))


def flat(select: Select) -> Select:
    """EXISTS within EXISTS as one select of all their sources."""
    sources: list[Source] = list(select.sources)
    where: list[Predicate] = []
    for part in conjuncts(select.where):
        if isinstance(part, Exists):
            inner = flat(part.select)
            first, *others = inner.sources
            sources += [replace(first, join="inner"), *others]
            where.append(inner.where)
        else:
            where.append(part)
    return replace(select, sources=tuple(sources), where=all_of(*where))


async def _here(sight: Sight, select: Select) -> Findings:
    own = {source.alias for source in select.sources}
    parts = list(conjuncts(all_of(select.where, *(source.on for source in select.sources))))
    links = [part for part in parts if aliases_of(part) - own]
    rest = all_of(*(part for part in parts if part not in links))
    tables = {**sight.tables, **{source.alias: source.table.name for source in select.sources}}
    pairs = [pair for link in links if (pair := _pair(link, own)) is not None]
    outer = [column for column, _ in pairs]
    rows = await sight.columns(outer) if outer else []
    mine = tuple(rows[0]) if rows else ()
    bare = tuple(replace(source, on=TRUE) for source in select.sources)
    inner_only = replace(sight, sources=(replace(bare[0], join="root"), *_inner(bare[1:])), where=rest)
    allowed = await inner_only.columns([inner for _, inner in pairs], SHOWN * 4) if pairs else []
    texts: list[Failed] = []
    wanted: list[Wanted] = []
    distinct = list(dict.fromkeys(allowed))
    whose = _whose(rest)
    if pairs:
        names = ", ".join(f"{tables[c.alias]}.{c.name}" for c in outer)
        if distinct:
            among = some([shown_tuple(value) for value in distinct])
            texts.append(Failed(f"{names} = {shown_tuple(mine)} is not among {among}{whose}"))
        else:
            texts.append(Failed(f"{names} = {shown_tuple(mine)}: nothing is admitted{whose}"))
    else:
        texts.append(Failed(f"no row of {select.sources[0].table.name} fits{whose}"))
    if len(pairs) == 1 and distinct:
        wanted.append(Wanted(outer[0], tuple(value for (value,) in distinct if value is not None)))
    elif len(pairs) > 1:
        wanted += _one_differs(outer, mine, distinct)
    near = {column.alias for link in links for column in columns_in(link)}
    missing = [row for source in select.sources if (row := await _missing(sight, select, source, near)) is not None]
    missing.sort(key=lambda row: row.distance)
    nearest = [row for row in missing if row.distance < 2]
    missing = nearest or missing
    if missing:
        texts.append(Failed(f"there is no row in {missing[0].text}"))
    return Findings(tuple(texts), tuple(missing), tuple(wanted))


def _inner(sources: Sequence[Source]) -> tuple[Source, ...]:
    return tuple(replace(source, join="inner") for source in sources)


def _pair(link: Predicate, own: set[str]) -> tuple[Column, Column] | None:
    """A comparison of a column of the row with one of the path, in this order."""
    match link:
        case Compare("eq", Column() as one, Column() as other) if one.alias in own and other.alias not in own:
            return other, one
        case Compare("eq", Column() as one, Column() as other) if other.alias in own and one.alias not in own:
            return one, other
    return None


def _one_differs(
    outer: Sequence[Column], mine: tuple[object, ...], allowed: Sequence[tuple[object, ...]]
) -> Iterator[Wanted]:
    """Columns that by themselves would bring the row among the allowed ones."""
    for place, column in enumerate(outer):
        values = [
            row[place]
            for row in allowed
            if row[place] != mine[place] and all(row[n] == mine[n] for n in range(len(mine)) if n != place)
        ]
        if values:
            yield Wanted(column, tuple(dict.fromkeys(values)))


async def _missing(sight: Sight, select: Select, source: Source, near: set[str]) -> Missing | None:
    """The row of one source whose presence alone would complete the path, if there is such a row."""
    if source.join == "left":
        return None
    parts = list(conjuncts(all_of(select.where, *(s.on for s in select.sources))))
    conditions = [part for part in parts if source.alias in aliases_of(part)]
    settings = _settings(conditions, source.alias)
    if settings is None:
        return None
    others = tuple(replace(s, on=TRUE) for s in select.sources if s.alias != source.alias)
    around = sight.narrowed(others, all_of(*(part for part in parts if part not in conditions)))
    columns = [operand for _, operand in settings if isinstance(operand, Column)]
    rows = await around.columns(columns)
    if not rows:
        return None
    values_of = dict(zip(columns, rows[0], strict=True))
    found: dict[str, object] = {}
    for name, operand in settings:
        value = _value(operand, values_of, sight.values)
        if value is None or found.setdefault(name, value) != value:
            return None  # a comparison with null never holds, and one row cannot be two things
    personal = any(params_in(part) for part in conditions)
    return Missing(source.table, tuple(found.items()), personal + 2 * (source.alias in near))


def _settings(conditions: Sequence[Predicate], alias: str) -> list[tuple[str, Operand]] | None:
    """What the columns of a missing row have to be; None where that cannot be read off the conditions."""
    found: list[tuple[str, Operand]] = []
    for part in conditions:
        match part:
            case Compare("eq", Column(own, name), other) if own == alias and not _about(other, alias):
                found.append((name, other))
            case Compare("eq", other, Column(own, name)) if own == alias and not _about(other, alias):
                found.append((name, other))
            case In(Column(own, name), values) if own == alias and values:
                found.append((name, values[0]))
            case IsNull(Column(own, _)) | Compare("ne", Column(own, _), _) if own == alias:
                continue  # null, as every column that nothing is said of; looked at again with the row supposed
            case _:
                return None
    return found


def _about(operand: Operand, alias: str) -> bool:
    return isinstance(operand, Arith) or (isinstance(operand, Column) and operand.alias == alias)


def _value(operand: Operand, columns: Mapping[Column, object], values: Mapping[str, object]) -> object:
    match operand:
        case Column():
            return columns.get(operand)
        case Const(value):
            return value
        case Param(name):
            return values[name]
        case _:
            return None


async def _forbidden(sight: Sight, select: Select) -> Findings:
    """A row that must not be there is."""
    flattened = flat(select)
    table = flattened.sources[-1].table
    return Findings((Failed(f"there is a row of {table} that excludes it{_whose(flattened.where)}"),))


def _whose(condition: Predicate) -> str:
    names = params_in(condition)
    return f" (by {', '.join(_source(name) for name in names)})" if names else ""


# ------------------------------------------------------------------------------------------------------ words


def _source(param: str) -> str:
    return {"dataverse.own": "the user and its teams"}.get(param) or (
        "the user's business units" if param.startswith("dataverse.units.") else f"${param}"
    )


def _named(operand: Operand, values: Mapping[Column, object], sight: Sight) -> str:
    match operand:
        case Column(alias, name):
            table = sight.tables.get(alias, alias)
            return f"{table}.{name} = {shown(values.get(operand))}" if operand in values else f"{table}.{name}"
        case Const(value):
            return shown(value)
        case Param(name):
            return f"{shown(sight.values[name])} (${name})"
        case _:
            return "an expression"
