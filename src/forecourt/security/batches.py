"""``$batch``: requests in order, each change set in one unit of work.

A change set is all or nothing, also where its rows are in two databases. The batch ends at the first failure unless the
caller prefers ``odata.continue-on-error``. ``$1`` stands for the row that the request of that Content-ID has made, in
URLs and in references. Sources: pages-and-dataverse B2.5; operations-and-integration 5.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from forecourt.kernel.change import Written
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal
from forecourt.odata.batch import ChangeSet, Part, PartAnswer, read_batch, write_batch
from forecourt.odata.keys import row_path
from forecourt.odata.prefer import parse_prefer
from forecourt.security.changes import Changes
from forecourt.security.operation import Operation
from forecourt.security.references import Batch, unnamed
from forecourt.security.requests import Requests
from forecourt.security.scope import Scope
from forecourt.security.services import VERSION, Answer
from forecourt.store.work import Work

#: Headers that say in whose name a request is (pages-and-dataverse B2.9).
ACTING = ("callerobjectid", "mscrmcallerid")


class Batches:
    """Batches of one door. ``failed``: what a part answers that could not be done (and who hears of it)."""

    def __init__(self, requests: Requests, changes: Changes, failed: Callable[[Exception, bool], Answer]) -> None:
        self._requests = requests
        self._changes = changes
        self._failed = failed

    async def batch(self, principal: Principal, headers: Mapping[str, str], body: bytes) -> Answer:
        """Runs a batch. Raises Refusal for a batch that can't be read; nothing is done then."""
        requests = self._requests
        items = read_batch(body, headers.get("content-type"), requests.root, requests.dialect)
        going_on = parse_prefer(headers.get("prefer"), requests.dialect).continue_on_error
        answers: list[PartAnswer | list[PartAnswer]] = []
        status = 200
        for item in items:
            if isinstance(item, ChangeSet):
                answer: PartAnswer | list[PartAnswer] = await self._change_set(principal, headers, item)
            else:
                answer = await self._single(principal, headers, item)
            answers.append(answer)
            if isinstance(answer, PartAnswer) and answer.status >= 400 and not going_on:
                status = answer.status if requests.dialect.name != "operations" else 200
                break
        kind, content = write_batch(answers)
        applied = (("Preference-Applied", "odata.continue-on-error"),) if going_on else ()
        return Answer(status, (("Content-Type", kind), VERSION, *applied), content)

    async def _single(self, principal: Principal, headers: Mapping[str, str], part: Part) -> PartAnswer:
        try:
            given = _headers(headers, part)
            part = _named(part, Batch())
            if part.method == "GET":
                answer = await self._requests.get(principal, part.path, part.query, given)
            else:
                answer = await self._changes.change(principal, part.method, part.path, part.query, given, part.body)
        except Exception as error:
            answer = self._failed(error, part.method != "GET")
        return PartAnswer(answer.status, answer.headers, answer.body, part.id)

    async def _change_set(
        self, principal: Principal, headers: Mapping[str, str], changes: ChangeSet
    ) -> PartAnswer | list[PartAnswer]:
        """The answers of all its requests, or the one answer that says why nothing was done."""
        requests, gate = self._requests, self._requests.gate
        failing = ""
        ready: dict[int, Operation] = {}

        async def attempt(work: Work) -> list[tuple[Operation, Written | None]]:
            nonlocal failing
            batch = Batch()
            done: list[tuple[Operation, Written | None]] = []
            for place, part in enumerate(changes.parts):
                failing = part.id
                operation = ready.get(place) or self._operation(principal, headers, _named(part, batch))
                written = await operation.run(work, scope, batch)
                done.append((operation, written))
                if part.id and written is not None and written.after is not None:
                    entity = gate.model.entities[written.entity]
                    batch.named[part.id] = row_path(entity, written.after, gate.model, requests.dialect)
            return done

        try:
            for place, part in enumerate(changes.parts):  # what cannot be read is refused before anything is opened
                failing = part.id
                if not part.path.startswith("$"):
                    ready[place] = self._operation(principal, headers, part)
            scope: Scope = await gate.scope(principal, requests.door)
            done = await gate.coordinator.run(attempt, "a change set")
        except Exception as error:
            answer = self._failed(error, True)
            return PartAnswer(answer.status, answer.headers, answer.body, failing)
        answers = [await operation.answer(written) for operation, written in done]
        return [
            PartAnswer(answer.status, answer.headers, answer.body, part.id)
            for part, answer in zip(changes.parts, answers, strict=True)
        ]

    def _operation(self, principal: Principal, headers: Mapping[str, str], part: Part) -> Operation:
        return self._changes.operation(
            principal, part.method, part.path, part.query, _headers(headers, part), part.body
        )


def _headers(outer: Mapping[str, str], part: Part) -> dict[str, str]:
    """Those of a part, and of the batch what says where it was sent to. Raises Refusal FC1001 for a part that would be
    in another name than the batch."""
    for name in ACTING:
        if part.headers.get(name, "").strip() not in ("", outer.get(name, "").strip()):
            raise Refusal("FC1001", f"{name} is a header of the batch, not of a part.", source=name)
    kept = {name: outer[name] for name in ("host", "x-forwarded-proto") if name in outer}
    return {**kept, **part.headers, **kept}


def _named(part: Part, batch: Batch) -> Part:
    """A part whose URL begins with ``$1``, with the address that this stands for."""
    if not part.path.startswith("$"):
        return part
    head, slash, rest = part.path.partition("/")
    found = batch.named.get(head[1:])
    if found is None:
        raise unnamed(head[1:])
    return replace(part, path=found + slash + rest)
