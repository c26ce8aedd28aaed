"""The parent of several workers: it starts one again that has died, or hangs."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from detent.inference.health import is_steady
from detent.inference.logs import log

STEADY_S = 5.0  # a worker that answers requests has this long to say that it is well
LOADING_S = 600.0  # one that starts, or loads a version, this long


class Supervisor(Multiprocess):
    """uvicorn's, with a check of workers that knows what loading is, and waits for none of them.

    uvicorn's own kills a worker that is silent for some seconds. A large model that keeps Python's
    lock while it is loaded would be killed, started, and killed again; a busy machine takes as
    long to import what a worker needs.

    Parameters
    ----------
    config : Config
        What each worker runs.
    listening : socket
        Where connections come in: all workers take them from there.
    folder : Path
        Where workers say whether they are steady.
    """

    def __init__(self, config: Config, listening: socket.socket, folder: Path) -> None:
        super().__init__(config, sockets=[listening])
        self._folder = folder
        self._asked: dict[int, float] = {}  # by process number: since when it owes an answer

    def keep_subprocess_alive(self) -> None:
        """Start again what has died or hangs; end when a worker could not even start."""
        if self.should_exit.is_set():  # they may have been told to end, too
            return
        now = time.monotonic()
        for place, process in enumerate(self.processes):
            if self._is_well(process, now):
                continue
            process.kill()
            process.join()
            self._asked.pop(process.pid or 0, None)
            if process.exitcode == STARTUP_FAILURE:  # the next one would not either
                self.should_exit.set()
                return
            log("worker_died", is_problem=True, worker=process.pid, exit_code=process.exitcode)
            self.processes[place] = Process(self.config, self.sockets)
            self.processes[place].start()

    def terminate_all(self) -> None:
        """Take no more connections, and tell the workers to end.

        As long as one process listens, the system takes connections that nobody will answer.
        """
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def _is_well(self, process: Process, now: float) -> bool:
        pid = process.pid
        if pid is None or not process.process.is_alive():
            return False
        try:
            asked_at = self._asked.get(pid)
            if asked_at is not None:
                if not process.parent_conn.poll():
                    limit_s = STEADY_S if is_steady(self._folder, pid) else LOADING_S
                    return now - asked_at < limit_s
                process.parent_conn.recv()
            process.parent_conn.send(b"ping")
        except (OSError, EOFError):
            return False
        self._asked[pid] = now
        return True
