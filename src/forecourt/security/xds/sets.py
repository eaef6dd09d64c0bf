"""The sets that policies allow, read first and bound as values: umbrellas and constructs.

The allowed set of a policy, its *umbrella* (the vendors of this user), is resolved before the statement and bound where
it is small: a policy left as a subquery on the user costs the planner its estimates. Above ``BOUND_LIMIT`` rows, for
NOT EXISTS policies, for those that look at the clock and where no key is known, the condition stays a subquery; both
forms mean the same.

The set of a *construct* is what several policies share (operations-and-integration 4.4). One of a single key is bound
as a list of up to ``LIST_LIMIT`` values, one of several keys like an umbrella. It counts PerSession, which is as long
as the rows that it was made from are what they were; PerInvocation it is read in place by each statement.

Leaves out when a set is read and how a change of it is noticed: ``security/scopes``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from forecourt.kernel.predicate import Column, Predicate, operands
from forecourt.kernel.relation import Output, Select, TableName
from forecourt.security.constructs import Construct, Refresh
from forecourt.security.rules import Policy

#: Umbrella sets up to this many rows are bound as values.
BOUND_LIMIT = 16

#: Constructs of one key are bound as a list of up to this many values.
LIST_LIMIT = 1_000

#: The size of a set that is bound as a list: any number of values has the same shape.
LISTED = -1

#: Gives primary key columns of a table, () where none is known.
KeyOf = Callable[[TableName], tuple[str, ...]]


def umbrella_columns(policy: Policy, key_of: KeyOf) -> tuple[str, ...]:
    """Columns of the primary table that bound predicates compare: its key and those that nodes relate to."""
    root = policy.sources[0].alias
    columns = list(key_of(policy.primary)) if policy.constrain_primary else []
    for node in policy.constraints:
        columns.extend(parent for _, parent in node.relation)
    columns.extend(name for node in policy.nodes for name in named(node.condition, root))
    return tuple(dict.fromkeys(columns))


def named(item: Predicate, alias: str) -> list[str]:
    """Columns of a source that a predicate names."""
    return [found.name for found in operands(item) if isinstance(found, Column) and found.alias == alias]


def bindable(policy: Policy, key_of: KeyOf) -> bool:
    """Whether the policy's umbrella may be bound as values. One that constrains nothing has none to bind."""
    keyed = not policy.constrain_primary or bool(key_of(policy.primary))
    settled = not policy.timed and all(lasting(join.construct) for join in policy.constructs)
    return not policy.not_exists and keyed and settled and bool(umbrella_columns(policy, key_of))


def lasting(construct: Construct) -> bool:
    """Whether the construct's set may outlive a statement."""
    return construct.refresh is Refresh.PER_SESSION and not construct.timed


def umbrella(policy: Policy, key_of: KeyOf) -> Select:
    """The query that resolves the policy's allowed set for a user."""
    root = policy.sources[0].alias
    return Select(
        sources=policy.sources,
        where=policy.filter,
        outputs=tuple(Output(name, Column(root, name), None) for name in umbrella_columns(policy, key_of)),
        nullable=policy.columns,
    )


def members(construct: Construct) -> Select:
    """The query that resolves a construct's set for a user."""
    return Select(
        sources=construct.sources,
        where=construct.filter,
        outputs=tuple(Output(name, column, None) for name, column in construct.keys),
        nullable=construct.columns,
    )


def padded(size: int) -> int | None:
    """Size class of a bound set: 0, a power of two up to the limit, or None for a set that stays a subquery."""
    if size > BOUND_LIMIT:
        return None
    return 0 if size == 0 else 1 << (size - 1).bit_length()


def sized(construct: Construct, size: int) -> int | None:
    """Size class of a construct's set of this many rows."""
    if len(construct.keys) == 1:
        return LISTED if size <= LIST_LIMIT else None
    return padded(size)


def set_name(construct: Construct) -> str:
    """What sizes and witnesses call a construct's set; no policy has such a name."""
    return f"construct {construct.name}"


def list_name(construct: Construct) -> str:
    """The parameter that holds the list of a construct of one key."""
    return f"mine.{construct.name}"


def value_name(policy: Policy, row: int, column: str) -> str:
    """The parameter that holds one value of a bound umbrella."""
    return f"xds.{policy.name}.{row}.{column}"


def member_name(construct: Construct, row: int, key: str) -> str:
    """The parameter that holds one value of a construct of several keys."""
    return f"mine.{construct.name}.{row}.{key}"


def values(policy: Policy, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> Iterator[tuple[str, object]]:
    """The parameters of a bound umbrella, the last row repeated up to its size class."""
    return _filled(lambda row, column: value_name(policy, row, column), columns, rows)


def member_values(construct: Construct, rows: Sequence[tuple[object, ...]]) -> Iterator[tuple[str, object]]:
    """The parameters of a bound construct."""
    if len(construct.keys) == 1:
        yield list_name(construct), tuple(row[0] for row in rows if row[0] is not None)
        return
    names = [name for name, _ in construct.keys]
    yield from _filled(lambda row, key: member_name(construct, row, key), names, rows)


def _filled(
    name: Callable[[int, str], str], columns: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> Iterator[tuple[str, object]]:
    size = padded(len(rows)) or 0
    for index in range(size):
        row = rows[min(index, len(rows) - 1)]
        for column, value in zip(columns, row, strict=True):
            yield name(index, column), value
