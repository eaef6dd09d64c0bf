"""The sender: takes messages out of the outbox, one after the other, and hands them to the mail server.

Sending is never part of an answer: what a person sees, and how long it takes, is the same whether or not there was
anything to send. A message that the server does not take now is tried again after :func:`pause`, for as long as it is
of use; one that it will never take is set aside, and observed. Any number of processes may send at once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from forecourt.identity.clock import Clock
from forecourt.identity.mail.outbox import Outbox
from forecourt.identity.mail.smtp import PATIENCE, MailError, MailServer
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import Fault, Observer

#: Longest pause between two attempts, and between two looks where nobody woke the sender.
LONGEST: Final = dt.timedelta(hours=1)
LOOK: Final = 5.0


def pause(attempts: int) -> dt.timedelta:
    """How long to wait after so many attempts: 5 s, 20 s, 80 s and so on, an hour at most.

    >>> [str(pause(n)) for n in (1, 2, 3, 9)]
    ['0:00:05', '0:00:20', '0:01:20', '1:00:00']
    """
    return min(dt.timedelta(seconds=5 * 4 ** min(attempts - 1, 9)), LONGEST)


class Sender:
    """Sends what is due. ``run`` goes on until it is cancelled."""

    def __init__(self, outbox: Outbox, server: MailServer, clock: Clock, observer: Observer) -> None:
        self._outbox = outbox
        self._server = server
        self._clock = clock
        self._observer = observer
        self._pool = ThreadPoolExecutor(1, "mail")
        self._ending = False

    async def run(self) -> None:
        """Sends whatever becomes due, whichever process it was written in. Cancelled, it ends with the message that it
        has in hand, unless the mail server takes too long for it."""
        while True:
            turn = asyncio.create_task(self._turn())
            try:
                await asyncio.shield(turn)
            except asyncio.CancelledError:
                self._ending = True
                await asyncio.wait({turn}, timeout=PATIENCE)
                turn.cancel()
                raise
            await self._outbox.wait(LOOK)

    async def send_due(self) -> int:
        """Tries each message that is due and in nobody's hands. Returns how many were sent. Raises Unavailable."""
        sent = 0
        while not self._ending and (done := await self._send_one()) is not None:
            sent += done
        return sent

    async def _turn(self) -> None:
        try:
            await self.send_due()
        except (Refusal, Unavailable) as error:
            self._observer(Fault("mail", error))

    def close(self) -> None:
        """Ends the thread; what it is sending is sent to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _send_one(self) -> bool | None:
        """Whether the next message was sent; None: there is none."""
        async with self._outbox.take() as hand:
            if hand is None:
                return None
            taken = hand.taken
            transmit, number, written = self._server.transmit, str(taken.id), taken.created_at
            try:
                await asyncio.get_running_loop().run_in_executor(self._pool, transmit, taken.message, number, written)
            except MailError as error:
                if error.passing:
                    await hand.later(self._clock() + pause(taken.attempts + 1), str(error))
                else:
                    await hand.set_aside(str(error))
                self._observer(Fault("mail", error))
                return False
            await hand.done()
            return True
