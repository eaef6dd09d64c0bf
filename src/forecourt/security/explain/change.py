"""The smallest change that turns a no into a yes.

A search, cheapest first, over what could be (``candidates``): each step answers the first layer that fails, and the
outcome is decided by the same functions as requests are, over the changed rules, the changed person and the supposed
rows. So a step that does not help, or that opens one layer and closes another, is never proposed.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from itertools import count
from typing import cast

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import Predicate
from forecourt.security.enforce import Enforcer
from forecourt.security.explain.answers import Change
from forecourt.security.explain.candidates import Candidates, Mapped
from forecourt.security.explain.conditions import Findings, findings
from forecourt.security.explain.decision import final
from forecourt.security.explain.facts import supposed
from forecourt.security.explain.layers import Layer, Rule, layers
from forecourt.security.explain.looking import Sight
from forecourt.security.explain.state import State
from forecourt.security.explain.subject import Question
from forecourt.security.scope import Scope
from forecourt.security.scopes import person_values, user_values

#: States that are looked at before the search gives up.
LOOKS = 60

#: Changes that are offered, and how much more the others may cost than the first.
OFFERED, DEARER = 3, 2.0


class Changes:
    """Searches for one door and one row. ``mapped``: operations users that a contact could be mapped to, best first."""

    def __init__(
        self, enforcer: Enforcer, scope: Scope, entity: Entity, question: Question, sight: Sight, mapped: Mapped
    ) -> None:
        self._enforcer = enforcer
        self._scope = scope
        self._entity = entity
        self._question = question
        self._sight = sight
        self._candidates = Candidates(entity, question, scope, sight, mapped, self._why)

    async def found(self) -> tuple[tuple[Change, ...], ...]:
        """The cheapest changes, each with all its steps; () where none was found."""
        order = count()
        start = State(self._enforcer.rules, self._scope.principal)
        heap = [(0.0, next(order), start)]
        seen: set[frozenset[str]] = set()
        turning: list[State] = []
        for _ in range(LOOKS):
            if not heap or len(turning) == OFFERED:
                break
            _, _, state = heapq.heappop(heap)
            if turning and state.cost > turning[0].cost + DEARER:
                break
            if any(known.texts <= state.texts for known in turning):
                continue
            admitted, failing, about = await self._judged(state)
            if admitted:
                turning.append(state)
            elif failing is not None:
                for candidate in await self._candidates.of(state, failing, about):
                    if candidate.texts not in seen:
                        seen.add(candidate.texts)
                        heapq.heappush(heap, (candidate.cost, next(order), candidate))
        return tuple(state.changes for state in turning)

    # -- judging a state -----------------------------------------------------------------------------------------

    def _as_it_would_be(self, state: State) -> tuple[Enforcer, Scope]:
        enforcer = replace(self._enforcer, rules=state.rules)
        user = state.principal.operations_user
        values = {
            **dict(self._scope.values),
            **person_values(state.principal),
            **(user_values(user) if user is not None else {}),
            **state.extra,
        }
        return enforcer, Scope(state.principal, self._scope.door, values=values)

    async def _judged(self, state: State) -> tuple[bool, Layer | None, tuple[Rule, ...]]:
        """Whether the door says yes, else the first layer that says no and those of its rules that do."""
        enforcer, scope = self._as_it_would_be(state)
        chain = layers(enforcer, scope, self._entity, self._question)
        decision = final(enforcer, scope, self._entity, self._question)
        rules = [rule for layer in chain for rule in layer.rules if rule.condition is not None]
        truths = await self._truths(
            state,
            scope,
            [decision, *(layer.condition for layer in chain), *(cast(Predicate, r.condition) for r in rules)],
        )
        if truths is None:
            return False, None, ()
        if truths[0]:
            return True, None, ()
        of_rules = dict(zip((id(rule) for rule in rules), truths[1 + len(chain) :], strict=True))
        for layer, truth in zip(chain, truths[1:], strict=False):
            if not truth:
                return False, layer, tuple(r for r in layer.rules if not of_rules.get(id(r), r.condition is None))
        return False, None, ()

    async def _truths(self, state: State, scope: Scope, conditions: list[Predicate]) -> list[bool] | None:
        pairs = [supposed(item, state.facts) for item in conditions]
        values = dict(scope.values)
        for _, more in pairs:
            values.update(more)
        sight = self._sight.valued(values)
        if sight.subject.keyed:
            return await sight.truths([item for item, _ in pairs])
        return [await sight.some(item) for item, _ in pairs]

    async def _why(self, state: State, condition: Predicate | None) -> Findings:
        if condition is None:
            return Findings()
        _, scope = self._as_it_would_be(state)
        item, more = supposed(condition, state.facts)
        return await findings(self._sight.valued({**dict(scope.values), **more}), item)
