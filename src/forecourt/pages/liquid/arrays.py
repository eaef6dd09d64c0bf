"""Filters of arrays: rows, or whatever has names (pages-and-dataverse A4.2)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from liquid.undefined import Undefined
from markupsafe import Markup

from forecourt.pages.liquid.dialect import check_size
from forecourt.pages.liquid.values import Lookup

MISSING = object()


def _items(value: object) -> list[Any]:
    if value is None or isinstance(value, Undefined):
        return []
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence | range):
        return [value]
    return list(value)


def _member(item: object, name: object) -> object:
    """A member by name, dots leading on; None where there is none."""
    found: Any = item
    for part in [str(name)] if isinstance(item, Mapping) and str(name) in item else str(name).split("."):
        if not isinstance(found, Mapping):
            return None
        try:
            found = found[part]
        except (KeyError, TypeError):
            return None
    return found


def _same(one: object, other: object) -> bool:
    if isinstance(one, Lookup) and "id" in one and not isinstance(other, Mapping):
        return str(one["id"]).lower() == str(other).lower()
    return one == other or (one is not None and str(one) == str(other))


def _rank(value: object) -> tuple[int, Any]:
    """How values are sorted: nothing first, then numbers, then all else by its text."""
    if value is None or isinstance(value, Undefined):
        return (0, 0)
    if isinstance(value, bool | int | float):
        return (1, float(value))
    try:
        return (1, float(value)) if not isinstance(value, str) else (3, value.casefold())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        pass
    moment = getattr(value, "isoformat", None)
    return (2, moment()) if moment is not None else (3, str(value).casefold())


class Ordered(list[Any]):
    """Items in an order that ``then_by`` refines. ``keys``: of each item, for what they are sorted by so far."""

    def __init__(self, items: Sequence[Any], keys: Sequence[tuple[str, bool]]) -> None:
        ordered = list(items)
        for name, descending in reversed(keys):
            ordered.sort(key=lambda item: _rank(_member(item, name)), reverse=descending)
        super().__init__(ordered)
        self.keys = tuple(keys)


def order_by(value: object, name: object, direction: object = "asc") -> list[Any]:
    return Ordered(_items(value), [(str(name), str(direction).lower().startswith("desc"))])


def then_by(value: object, name: object, direction: object = "asc") -> list[Any]:
    keys = value.keys if isinstance(value, Ordered) else ()
    return Ordered(_items(value), [*keys, (str(name), str(direction).lower().startswith("desc"))])


def where(value: object, name: object, wanted: object = MISSING) -> list[Any]:
    return [item for item in _items(value) if _fits(item, name, wanted)]


def except_(value: object, name: object, wanted: object = MISSING) -> list[Any]:
    return [item for item in _items(value) if not _fits(item, name, wanted)]


def _fits(item: object, name: object, wanted: object) -> bool:
    found = _member(item, name)
    if wanted is MISSING:
        return found not in (None, False)
    return _same(found, wanted)


def any_(value: object, name: object = MISSING, wanted: object = MISSING) -> bool:
    items = _items(value)
    return bool(items) if name is MISSING else any(_fits(item, name, wanted) for item in items)


def all_(value: object, name: object, wanted: object = MISSING) -> bool:
    return all(_fits(item, name, wanted) for item in _items(value))


def group_by(value: object, name: object) -> list[Any]:
    """Pairs ``key``, ``items``, in the order in which the keys come."""
    groups: dict[str, tuple[object, list[Any]]] = {}
    for item in _items(value):
        key = _member(item, name)
        groups.setdefault(str(key), (key, []))[1].append(item)
    return [Lookup({"key": key, "items": items}) for key, items in groups.values()]


def select(value: object, name: object) -> list[Any]:
    return [_member(item, name) for item in _items(value)]


def batch(value: object, size: object) -> list[Any]:
    items, step = _items(value), max(1, int(str(size)))
    return [items[start : start + step] for start in range(0, len(items), step)]


def concat(value: object, other: object) -> list[Any]:
    found = [*_items(value), *_items(other)]
    check_size(sum(len(item) if isinstance(item, str) else 1 for item in found))
    return found


def skip(value: object, count: object) -> list[Any]:
    return _items(value)[max(0, int(str(count))) :]


def take(value: object, count: object) -> list[Any]:
    return _items(value)[: max(0, int(str(count)))]


def top(value: object, count: object, *_languages: object) -> list[Any]:
    """The first items. A language, which the original's articles take, chooses nothing."""
    return take(value, count)


def search_filter_options(value: object) -> list[Lookup]:
    """The kinds of a site search from the setting ``Search/Filters``: ``Name:table,table;Name:table``."""
    found = []
    for part in str(value or "").split(";"):
        name, colon, tables = part.partition(":")
        if colon and name.strip() and tables.strip():
            found.append(Lookup({"display_name": name.strip(), "value": tables.strip()}, name.strip()))
    return found


def random_(value: object) -> object:
    items = _items(value)
    return random.choice(items) if items else None  # noqa: S311 - for show


def shuffle(value: object) -> list[Any]:
    items = _items(value)
    random.shuffle(items)
    return items


def first(value: object) -> object:
    items = _items(value)
    return items[0] if items else None


def last(value: object) -> object:
    items = _items(value)
    return items[-1] if items else None


def size(value: object) -> int:
    if value is None or isinstance(value, Undefined):
        return 0
    try:
        return len(value)  # type: ignore[arg-type]
    except TypeError:
        return 0


def current_sort(value: object, name: object) -> str | None:
    """The direction in which a sort expression (``name ASC, createdon DESC``) sorts by a column."""
    for part in str(value or "").split(","):
        words = part.split()
        if words and words[0].lower() == str(name).lower():
            return words[1].upper() if len(words) > 1 else "ASC"
    return None


def metafilters(value: object, asked: object = "", view: object = None) -> list[object]:
    """The groups of a list's filter panel, each with its options: those of the view, which knows what is chosen."""
    found = view.get("metafilters") if isinstance(view, Mapping) else None
    return list(found) if isinstance(found, list) else []


def reverse_sort(value: object) -> str:
    return "ASC" if str(value or "").upper().startswith("DESC") else "DESC"


def join(value: object, separator: object = " ") -> str:
    """Texts in one; markup stays markup, all else is escaped where it is put out."""
    items = ["" if item is None else item for item in _items(value)]
    between = separator if isinstance(separator, str) else str(separator)
    check_size(sum(len(item) if isinstance(item, str) else 1 for item in items) + len(items) * len(between))
    if isinstance(between, Markup) or any(isinstance(item, Markup) for item in items):
        return Markup(between if isinstance(between, Markup) else Markup.escape(between)).join(  # noqa: S704 - escaped
            item if isinstance(item, str) else str(item) for item in items
        )
    return between.join(item if isinstance(item, str) else str(item) for item in items)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "all": all_,
    "any": any_,
    "batch": batch,
    "concat": concat,
    "current_sort": current_sort,
    "except": except_,
    "first": first,
    "group_by": group_by,
    "join": join,
    "last": last,
    "metafilters": metafilters,
    "order_by": order_by,
    "random": random_,
    "reverse_sort": reverse_sort,
    "search_filter_options": search_filter_options,
    "select": select,
    "shuffle": shuffle,
    "size": size,
    "skip": skip,
    "take": take,
    "then_by": then_by,
    "top": top,
    "where": where,
}
