"""What lies between the pieces that there should be and those that there are, as the fewest statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from forecourt.store.native.pieces import Piece
from forecourt.store.native.state import Recorded, State

Verb = Literal["make", "change", "restore", "remake", "remove"]


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one piece. ``restore``: somebody changed it by hand; ``remake``: a piece that it names changes."""

    verb: Verb
    kind: str
    name: str
    sql: tuple[str, ...]

    @property
    def what(self) -> str:
        """The step in words."""
        return f"{self.verb} {self.kind} {self.name}"


def between(wanted: Sequence[Piece], state: State) -> list[Step]:
    """The steps from the state to the pieces wanted, in the order in which they can be done."""
    recorded = {item.key: item for item in state.recorded}
    verbs: dict[str, Verb] = {}
    for piece in wanted:
        verb = _verb(piece, recorded.get(piece.key), state)
        if verb is not None:
            verbs[piece.key] = verb
    anew = {
        piece.key
        for piece in wanted
        if piece.key in verbs and (not piece.alter or piece.key not in state.marks) and piece.key in recorded
    }
    for piece in wanted:  # pieces stand after those that they name
        if piece.needs & anew and piece.key in recorded:
            anew.add(piece.key)
            verbs.setdefault(piece.key, "remake")
    keys = {piece.key for piece in wanted}
    steps = [
        Step(verbs[item.key] if item.key in keys else "remove", item.kind, item.name, item.undo)
        for item in reversed(state.recorded)
        if (item.key not in keys or item.key in anew) and item.key in state.marks
    ]
    for piece in wanted:
        if piece.key in verbs:
            in_place = piece.key in recorded and piece.key not in anew and piece.alter
            steps.append(Step(verbs[piece.key], piece.kind, piece.name, piece.alter if in_place else piece.create))
    return steps


def _verb(piece: Piece, found: Recorded | None, state: State) -> Verb | None:
    if found is None:
        return "make"
    if found.made != piece.create:
        return "change"
    return None if state.marks.get(piece.key) == found.mark else "restore"
