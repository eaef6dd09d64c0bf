"""A model of the live protocol, small enough to be looked at whole: one unit of work over two databases, its
coordinator, two nodes that recover, and everything that may happen in between.

The coordinator takes the steps of ``store/work`` in their order and under their names, a node those of
``store/recovery``. What either sends to a server is *on its way* until that server carries it out, which it may do
long after the connection was cut or the sender has died, or never. Any time: the coordinator dies; a connection is cut,
so that its answer is lost; a server crashes, which undoes open transactions, keeps prepared ones and those committed,
and may undo a COMMIT PREPARED that was not on disk yet; clocks jump, so that any decision may look old.

:func:`explore` visits every state. A :class:`Protocol` with a part left out is a mutant that it must find fault with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Target = Literal["open", "prepared", "committed", "undone"]
Source = Literal["open", "committed", "undone"]
Answer = Literal["", "done", "failed", "gone"]

#: Where a coordinator is that does no more.
DEAD, ENDED = "dead", "ended"


@dataclass(frozen=True, slots=True)
class Protocol:
    """Which of the protocol's parts there are."""

    lock: bool = True  # the source holds a lock on the work's number, and whoever looks for the decision takes it
    look: bool = True  # recovery looks for the decision
    prepare_first: bool = True  # the decision waits for the target to be prepared
    old_first: bool = True  # old decisions are looked up before what is in doubt
    on_disk: bool = True  # a decision is kept until the target's commit is on disk


@dataclass(frozen=True, slots=True)
class Node:
    """A node that recovers. ``at``: the step it has passed last."""

    at: str = ""
    old: bool = False
    doubt: bool = False
    outcome: bool | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything. ``decision``: its row exists, seen by others once the source has committed; ``flushed``: the target's
    commit is on disk; ``to_…``: what is on its way there; ``from_…``: the answer to what was sent before."""

    at: str = "work: settled"
    target: Target = "open"
    source: Source = "open"
    decision: bool = False
    flushed: bool = False
    to_target: Literal["", "prepare"] = ""
    to_source: Literal["", "note", "commit"] = ""
    to_finish: frozenset[str] = frozenset()
    from_target: Answer = ""
    from_source: Answer = ""
    told: Literal["", "done", "undone", "unknown"] = ""
    nodes: tuple[Node, ...] = (Node(), Node())
    faults: int = 0

    @property
    def decided(self) -> bool:
        """What somebody who looks finds."""
        return self.source == "committed" and self.decision


Move = tuple[str, State]


def moves(state: State, protocol: Protocol, most_faults: int) -> Iterator[Move]:
    """Everything that may happen next."""
    yield from _coordinator(state, protocol)
    yield from _servers(state)
    for number in range(len(state.nodes)):
        yield from _node(state, protocol, number)
    if state.faults < most_faults:
        for label, found in _faults(state):
            yield label, replace(found, faults=state.faults + 1)


# -- the coordinator --------------------------------------------------------------------------------------------------


def _coordinator(state: State, protocol: Protocol) -> Iterator[Move]:
    match state.at:
        case "work: settled":
            sent = replace(state, at="work: decision noted", to_source="note", to_target="prepare")
            yield "send the decision's row and PREPARE", sent
        case "work: decision noted" if state.from_source and (state.from_target or not protocol.prepare_first):
            heard = replace(state, from_source="", from_target="" if protocol.prepare_first else state.from_target)
            if state.from_source == "done" and state.from_target in ("done", ""):
                yield "both have answered", replace(heard, at="work: prepared")
            else:
                yield "one could not", replace(heard, at="work: undoing")
        case "work: prepared":
            yield "send COMMIT", replace(state, at="work: committing", to_source="commit")
        case "work: undoing":
            gone = state.source if state.source == "committed" else "undone"
            finish = state.to_finish | {"rollback"}
            # The source's own transaction is given up after that; nothing is on its way there but what was cut off.
            yield (
                "send ROLLBACK PREPARED",
                replace(state, at=ENDED, to_finish=finish, told=state.told or "undone", source=gone),
            )
        case "work: committing" if state.from_source == "done":
            yield "committed", replace(state, at="work: committed", from_source="")
        case "work: committing" if state.from_source == "failed":
            yield "COMMIT was refused", replace(state, at="work: undoing", from_source="")
        case "work: committing" if state.from_source == "gone":
            heard = replace(state, from_source="")
            yield "nobody can say", replace(heard, at=ENDED, told="unknown")
            if state.source != "open" or not protocol.lock:
                if state.decided:
                    yield "look for the decision: there", replace(heard, at="work: committed")
                else:  # never said to be undone for certain: it may have been finished and forgotten
                    yield "look for the decision: none", replace(heard, at="work: undoing", told="unknown")
        case "work: committed":
            finish = state.to_finish | {"commit"}
            yield "send COMMIT PREPARED", replace(state, at="work: finished", to_finish=finish)
        case "work: finished":
            yield "tell the caller", replace(state, at=ENDED, told="done")
        case _:
            return


# -- the servers ------------------------------------------------------------------------------------------------------


def _servers(state: State) -> Iterator[Move]:
    if state.to_target == "prepare" and state.target == "open":
        sent = replace(state, to_target="")
        yield "the target is prepared", _answered(sent, "target", "done", target="prepared")
        yield "the target can't be prepared", _answered(sent, "target", "failed", target="undone")
    if state.to_source == "note" and state.source == "open":
        sent = replace(state, to_source="")
        yield "the decision's row is written", _answered(sent, "source", "done", decision=True)
        yield "the decision's row can't be written", _answered(sent, "source", "failed")
    if state.to_source == "commit" and state.source == "open":
        sent = replace(state, to_source="")
        yield "the source commits", _answered(sent, "source", "done", source="committed")
        yield "the source refuses to commit", _answered(sent, "source", "failed", source="undone")
    for verb in sorted(state.to_finish):
        rest = replace(state, to_finish=state.to_finish - {verb})
        yield f"{verb} prepared", _finished(rest, verb)
    if state.target == "committed" and not state.flushed:
        yield "the target's commit is on disk", replace(state, flushed=True)
    if state.at in (DEAD, ENDED):  # a server notices that its client has gone, sooner or later
        if state.source == "open":
            yield "the source is undone", replace(state, source="undone", to_source="")
        if state.target == "open":
            yield "the target is undone", replace(state, target="undone", to_target="")


def _answered(state: State, who: Literal["target", "source"], answer: Answer, **changes: object) -> State:
    """What a server has done, and its answer, which reaches only one who still waits for it."""
    name = f"from_{who}"
    changed = replace(state, **changes)  # type: ignore[arg-type]
    if state.at in (DEAD, ENDED) or getattr(state, name):
        return changed
    return replace(changed, **{name: answer})  # type: ignore[arg-type]


def _finished(state: State, verb: str) -> State:
    if state.target != "prepared":
        return state
    return replace(state, target="committed" if verb == "commit" else "undone", flushed=False)


# -- recovery ---------------------------------------------------------------------------------------------------------


def _node(state: State, protocol: Protocol, number: int) -> Iterator[Move]:
    node = state.nodes[number]
    name = f"node {number + 1}"

    def become(after: Node, changed: State = state) -> State:
        return replace(changed, nodes=(*state.nodes[:number], after, *state.nodes[number + 1 :]))

    match node.at:
        case "":
            yield f"{name} looks for old decisions", become(Node("old", old=state.decided))
        case "old":
            found = replace(node, at="listed", doubt=state.target == "prepared", old=node.old and protocol.old_first)
            yield f"{name} looks what is in doubt", become(found)
        case "listed" if node.doubt:
            yield f"{name} has found it in doubt", become(replace(node, at="recovery: found"))
        case "listed":
            yield f"{name} has nothing in doubt", become(replace(node, at="recovery: finished"))
        case "recovery: found":
            running = protocol.lock and state.source == "open"
            outcome = None if running else state.decided if protocol.look else False
            yield f"{name} looks up: {outcome}", become(replace(node, at="recovery: looked up", outcome=outcome))
        case "recovery: looked up":
            changed = state
            if node.outcome is not None:
                changed = _finished(state, "commit" if node.outcome else "rollback")
            yield f"{name} finishes", become(replace(node, at="recovery: finished"), changed)
        case "recovery: finished":
            old = node.old if protocol.old_first else state.decided and not node.doubt
            there = state.target == "prepared" if protocol.old_first else False
            on_disk = state.flushed or state.target != "committed" or not protocol.on_disk
            forgets = old and not there and on_disk
            changed = replace(state, decision=False) if forgets else state
            yield f"{name} forgets: {forgets}", become(Node("recovery: forgotten"), changed)
        case _:
            yield f"{name} is done", become(Node())


# -- faults -----------------------------------------------------------------------------------------------------------


def _faults(state: State) -> Iterator[Move]:
    if state.at not in (DEAD, ENDED):
        yield "the coordinator dies", replace(state, at=DEAD, from_source="", from_target="")
        if state.at == "work: decision noted" and not state.from_target:
            yield "the target's connection is cut", replace(state, from_target="gone")
            yield "what was sent to the target is lost", replace(state, from_target="gone", to_target="")
        if state.at in ("work: decision noted", "work: committing") and not state.from_source:
            yield "the source's connection is cut", replace(state, from_source="gone")
            yield "what was sent to the source is lost", replace(state, from_source="gone", to_source="")
    waits = state.at in ("work: decision noted", "work: committing")
    undone: Source = "undone" if state.source == "open" else state.source
    lost: Answer = state.from_source or ("gone" if waits else "")
    yield "the source's server crashes", replace(state, source=undone, to_source="", from_source=lost)
    target: Target = "undone" if state.target == "open" else state.target
    if state.target == "committed" and not state.flushed:
        target = "prepared"
    lost = state.from_target or ("gone" if state.at == "work: decision noted" else "")
    crashed = replace(state, target=target, to_target="", to_finish=frozenset(), from_target=lost)
    yield "the target's server crashes", crashed


# -- what must hold ---------------------------------------------------------------------------------------------------


def fault(state: State) -> str:
    """What is wrong with a state, '' where nothing is."""
    if state.target == "committed" and state.source == "undone":
        return "the target is committed and the source undone"
    if state.target == "undone" and state.source == "committed":
        return "the source is committed and the target undone"
    if state.told == "done" and state.source != "committed":
        return "the caller was told that it is done, and it is not"
    if state.told == "undone" and state.source == "committed":
        return "the caller was told that it is undone, and it is not"
    return ""


def unfinished(state: State, protocol: Protocol) -> bool:
    """Whether something stays prepared although its coordinator and all servers are done and a node recovers."""
    if state.at not in (DEAD, ENDED) or state.source == "open" or state.to_target or state.to_finish:
        return False
    number = 0
    state = replace(state, nodes=(Node(), *state.nodes[1:]))
    for _ in range(6):
        _, state = next(iter(_node(state, protocol, number)))
    return state.target == "prepared"


@dataclass(frozen=True)
class Explored:
    """``states`` visited; ``fault``: of the first wrong one, with the ``moves`` that lead there; ``labels`` passed."""

    states: int
    fault: str = ""
    moves: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()


def explore(protocol: Protocol = Protocol(), most_faults: int = 2) -> Explored:
    """Visits all states, nearest first, until one is wrong."""
    start = State()
    before: dict[State, tuple[str, State] | None] = {start: None}
    waiting = deque([start])
    labels: set[str] = set()
    while waiting:
        state = waiting.popleft()
        labels |= {state.at, *(node.at for node in state.nodes)}
        wrong = fault(state) or ("it stays prepared" if unfinished(state, protocol) else "")
        if wrong:
            return Explored(len(before), wrong, tuple(_path(before, state)), frozenset(labels))
        for label, following in moves(state, protocol, most_faults):
            if following not in before:
                before[following] = (label, state)
                waiting.append(following)
    return Explored(len(before), labels=frozenset(labels))


def _path(before: dict[State, tuple[str, State] | None], state: State) -> list[str]:
    found = []
    while (step := before[state]) is not None:
        label, state = step
        found.append(label)
    return found[::-1]
