"""What a database's errors mean to the person who asked. No text of the database is ever passed on.

::

    22xxx, and values that the driver cannot encode   a value does not fit               FC1003
    28xxx, 3D000                                      cannot be entered                  Unavailable
    23505, 23P01                                      the key is taken                   FC4092
    23xxx, raised by a trigger, 42501, 25006, 44000   the database refuses the change    FC4091
    54xxx                                             too complex                        FC1005
    57014, 55P03                                      took too long                      FC5031
    53xxx, 08xxx, 57P0x, no socket, no answer         cannot be reached                  Unavailable
    40001, 40P01                                      worth another attempt, then        Unavailable

Everything else is a fault of ours and stays an exception.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NoReturn, TypeVar

from asyncpg import exceptions as pg

from forecourt.kernel.errors import Refusal, Unavailable

T = TypeVar("T")

#: How often a statement that lost against a concurrent one is run at most.
ATTEMPTS = 4

_REFUSED = (
    pg.IntegrityConstraintViolationError,
    pg.RaiseError,
    pg.InsufficientPrivilegeError,
    pg.ReadOnlySQLTransactionError,
    pg.WithCheckOptionViolationError,
)
#: A key that must be unique is taken: for those who know what that means for their own table.
UniqueViolation = pg.UniqueViolationError

#: What a statement meets whose table is dropped before it, or while it runs.
REMOVED = (pg.UndefinedTableError, pg.UndefinedFunctionError, pg.InvalidSchemaNameError, pg.InternalServerError)

_GONE = (
    pg.PostgresConnectionError,
    pg.AdminShutdownError,
    pg.CrashShutdownError,
    pg.CannotConnectNowError,
    pg.InternalClientError,
    ConnectionError,
)


#: What the driver says of a connection that it knows to be lost.
_CLOSED = "connection is closed"


async def unless_removed(asking: Awaitable[T], message: str) -> T:
    """What is asked of tables that may be taken away. Raises Refusal FC4121 with ``message`` where they were."""
    try:
        return await asking
    except REMOVED:
        raise Refusal("FC4121", message, hint="Try again.") from None


def is_gone(error: BaseException) -> bool:
    """The connection, not the statement, is at fault: another connection may do."""
    return isinstance(error, _GONE) or (isinstance(error, pg.InterfaceError) and _CLOSED in str(error))


def is_collision(error: BaseException) -> bool:
    """A concurrent transaction won; the same statement may succeed next time."""
    return isinstance(error, pg.SerializationError | pg.DeadlockDetectedError)


def contended(error: BaseException) -> bool:
    """A concurrent transaction was in the way; the same unit of work may succeed next time."""
    return is_collision(error) or isinstance(error, pg.LockNotAvailableError)


def breaks_reference(refusal: BaseException) -> bool:
    """A refusal because a row that is referred to is missing, or because others refer to the row."""
    return isinstance(refusal.__cause__, pg.ForeignKeyViolationError)


def translated(error: Exception) -> Exception:
    """The refusal that stands for the error, or the error itself."""
    match error:
        case pg.DataError():
            return Refusal("FC1003", "A value does not fit the type of its column.")
        case pg.QueryCanceledError() | pg.LockNotAvailableError():
            return Refusal(
                "FC5031",
                "The database took longer than is allowed.",
                hint="Narrow the filter or ask for fewer rows.",
            )
        case pg.ProgramLimitExceededError():
            return Refusal("FC1005", "The request is too complex for the database.", hint="Simplify the filter.")
        case pg.UniqueViolationError() | pg.ExclusionViolationError():
            return Refusal("FC4092", "A row with this key exists already.")
        case _ if isinstance(error, _REFUSED):
            return Refusal("FC4091", "The database refuses the change: a rule of its own is violated.")
        case pg.InvalidAuthorizationSpecificationError():
            return Unavailable("The database refuses the user or the password of its URL.")
        case pg.InvalidCatalogNameError():
            return Unavailable("The server has no database of the name that the URL gives.")
        case _ if is_gone(error) or is_collision(error):
            return Unavailable("The database cannot be reached now.")
        case pg.InsufficientResourcesError() | OSError() | TimeoutError():
            return Unavailable("The database cannot be reached now.")
        case _:
            return error


def refuse(error: Exception) -> NoReturn:
    """Raises what stands for the error. To be called where it has been caught."""
    failure = translated(error)
    if failure is error:
        raise error
    raise failure from error
