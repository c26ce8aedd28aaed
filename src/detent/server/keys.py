"""Changes made once, however often their request arrives.

A request with an ``Idempotency-Key`` is answered in the transaction of its change: either both the
change and its answer are on record, or neither is. The same request again gets the same answer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from detent.domain.clock import to_us
from detent.errors import DetentError, InvalidError
from detent.metadata.base import Metadata, Servers
from detent.metadata.tables import Tables
from detent.registry.stores import Stores

MAX_KEY = 200
Answer = tuple[int, str]  # status and body


class _Joined:
    """Metadata whose writes are part of a transaction that is open already."""

    def __init__(self, metadata: Metadata, tables: Tables) -> None:
        self.is_written = False
        self.current = tables
        self.location = metadata.location
        self.change_counter = metadata.change_counter
        self.find_damage = metadata.find_damage
        self.listen = metadata.listen
        self._metadata = metadata

    @property
    def servers(self) -> Servers:
        return self._metadata.servers

    @contextmanager
    def read(self) -> Iterator[Tables]:
        yield self.current

    @contextmanager
    def write(self) -> Iterator[Tables]:
        yield self.current
        self.is_written = True  # not reached when the change was only tried, or failed

    def create(self, *, at_us: int, actor: str) -> bool:
        return False

    def release(self) -> None: ...

    def close(self) -> None: ...


class _UndoneError(Exception):
    """Ends a transaction that changed nothing that is to stay."""


def answer_once(
    stores: Stores,
    key: str,
    request_digest: str,
    run: Callable[[Stores], Answer],
    fail: Callable[[DetentError], Answer],
) -> Answer:
    """Run a change and keep its answer, or return the answer that its key has already.

    Raises
    ------
    InvalidError
        If the key was used for another request, or is too long.
    """
    if not key.isprintable() or len(key) > MAX_KEY:
        raise InvalidError(f"an idempotency key has at most {MAX_KEY} printable characters")
    answer: Answer = (500, "")
    failed: DetentError | None = None
    try:
        with stores.metadata.write() as tables:
            known = tables.find_answer(stores.actor, key)
            if known is not None:
                if known[0] != request_digest:
                    raise InvalidError("this idempotency key was used for another request")
                return known[1], known[2]
            joined = _Joined(stores.metadata, tables)
            inner = stores.inside(joined)
            try:
                answer = run(inner)
            except DetentError as error:
                if not joined.is_written:
                    raise
                answer, failed = fail(error), error  # a refusal is on record, as any answer is
            if not joined.is_written and failed is None:
                raise _UndoneError
            tables.insert_answer(
                stores.actor,
                key,
                request_digest,
                status=answer[0],
                body=answer[1],
                at_us=to_us(stores.clock()),
            )
    except _UndoneError:
        pass
    return answer
