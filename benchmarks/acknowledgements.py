"""Checks from outside that events are acknowledged only after the database has committed them.

Every acknowledgement is a message on `$JS.ACK.>`, which any client of the account can receive. The observer then checks
at once whether the database has the event. To make violations visible it publishes events of models that occur only
once, the ledger, and the database delays their transactions just before the commit. A replica that acknowledged without
waiting for the commit is found during that delay, and an event that was acknowledged and lost stays missing.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Final

import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg

from fleet import Key
from fleet_simulation import PROVIDER, Model, Publication
from model_registry.messaging.subjects import LOADED

ACKNOWLEDGEMENTS = "$JS.ACK.>"
HELD_SECONDS = 0.1
"""How long the trigger below delays the commits of the ledger, seconds."""

_LEDGER = "ledger"
_PER_NODE = 200
_PLAIN_SUBJECT = 9
"""Words of the subject: $JS.ACK.<stream>.<consumer>.<delivered>.<place in the stream>.<...>.<...>.<...>"""
_PLACE = 5
_LOOK_SECONDS = 0.5
_AGAIN_SECONDS = 0.1

HOLD_COMMITS: Final = """
create function hold_commit() returns trigger language plpgsql
as $$ begin perform pg_sleep(0.1); return null; end $$;
create constraint trigger z_hold_commit after insert on model_deployments deferrable initially deferred
    for each row when (new.node_id like 'ledger-%') execute function hold_commit();
"""
"""Run this as the owner of the tables, on an empty registry."""
HOLD_NO_COMMITS: Final = "drop function hold_commit() cascade"

_MISSING = """
select a.node_id, a.model, a.ts
from unnest(%s::text[], %s::text[], %s::float8[]) as a (node_id, model, ts)
left join gpu_nodes n on n.node_id = a.node_id
left join model_deployments d
    on d.node_id = a.node_id and d.provider_type = %s and d.announced_model = a.model
where case when a.model is null then n.status_at when d.id is not null then greatest(d.event_at, n.status_at) end
    >= to_timestamp(a.ts - 0.001) is not true
"""


class Ledger:
    """Reports a new model as loaded each time, and never mentions it again."""

    def __init__(self, start: float, *, rate: float) -> None:
        """Starts at `start`, in seconds since 1970, with `rate` events per second."""
        self._start = start
        self._rate = rate
        self._said = 0
        self.closed = False

    def until(self, now: float) -> Iterator[Publication]:
        """The messages that are due."""
        while not self.closed and (at := self._start + self._said / self._rate) <= now:
            node, name = self._place(self._said)
            self._said += 1
            content = {"node_id": node, "provider_type": PROVIDER, "model_id": name, "status": "loaded", "ts": at}
            yield Publication(at, node, name, at, LOADED, content)

    def expected(self) -> dict[Key, Model]:
        """Every message published so far."""
        return dict.fromkeys(map(self._place, range(self._said)), Model("loaded"))

    @staticmethod
    def _place(number: int) -> Key:
        return f"{_LEDGER}-{number // _PER_NODE:03}", f"entry-{number:06}"


class Acknowledgements:
    """Receives acknowledgements, and checks that the database has their events."""

    def __init__(self, database_url: str, schema: str) -> None:
        self._database_url = database_url
        self._schema = schema
        self._stored: dict[int, Publication] = {}
        self._heard: list[int] = []
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._database: psycopg.AsyncConnection | None = None
        self._turn = asyncio.Lock()
        self.looked = 0
        """Number of acknowledgements checked."""
        self.delays: list[float] = []
        """Seconds between receiving the acknowledgement of a ledger event and knowing whether the database has it."""
        self.premature: list[str] = []
        """Events that were acknowledged but not in the database."""

    def note(self, publication: Publication, place: int) -> None:
        """Note the place in the stream at which a message is stored."""
        self._stored[place] = publication

    async def listen(self, client: Client) -> None:
        """Receive all acknowledgements with this client."""
        await client.subscribe(ACKNOWLEDGEMENTS, cb=self._hear)
        await client.flush()

    async def run(self) -> None:
        """Check, until cancelled, the acknowledged events that are not in the ledger."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Check the acknowledgements received so far."""
        known = [place for place in self._heard if place in self._stored]
        self._heard = [place for place in self._heard if place not in self._stored]
        await self._check([self._stored[place] for place in known])

    async def _hear(self, message: Msg) -> None:
        words = message.subject.split(".")
        if len(words) != _PLAIN_SUBJECT or message.data not in (b"", b"+ACK"):
            return  # given back, or not our server's form
        publication = self._stored.get(int(words[_PLACE]))
        if publication is not None and publication.node.startswith(_LEDGER):
            task = asyncio.create_task(self._look_at_once(publication))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._heard.append(int(words[_PLACE]))

    async def _look_at_once(self, publication: Publication) -> None:
        began = time.monotonic()
        await self._check([publication])
        self.delays.append(time.monotonic() - began)

    async def _check(self, acknowledged: Sequence[Publication]) -> None:
        """Query the database, and repeat while it is unavailable: committed rows are there afterwards too."""
        if not acknowledged:
            return
        nodes, models = [one.node for one in acknowledged], [one.model for one in acknowledged]
        values = (nodes, models, [one.ts for one in acknowledged], PROVIDER)
        while True:
            try:
                async with self._turn:
                    rows = await (await (await self._connected()).execute(_MISSING, values)).fetchall()
                break
            except psycopg.OperationalError:
                self._database = None
                await asyncio.sleep(_AGAIN_SECONDS)
        self.looked += len(acknowledged)
        self.premature += [f"{node} {model or 'status'} of {ts}" for node, model, ts in rows]

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._database is None or self._database.closed:
            options = f"-c search_path={self._schema}"
            self._database = await psycopg.AsyncConnection.connect(self._database_url, autocommit=True, options=options)
        return self._database

    async def close(self) -> None:
        """Close the connection to the database."""
        if self._database is not None:
            await self._database.close()

    def summary(self) -> str:
        """A summary in one line."""
        quick = sum(delay < HELD_SECONDS for delay in self.delays)
        typical = statistics.median(self.delays) * 1000 if self.delays else 0
        return (
            f"{self.looked} acknowledgements followed up; {len(self.delays)} of the ledger, {quick} of these while a "
            f"commit that was still to come would have been held (median {typical:.0f} ms); "
            f"{len(self.premature)} came before the commit"
        )
