"""`python -m benchmarks [NAME…]`: the suites below; all of `SUITES` by default.

`streams` is run when it is named only: it plays 20,000 streams of labels and takes minutes.
"""

import sys
import tempfile
import warnings
from pathlib import Path

from benchmarks import (
    evaluating,
    evidence,
    following,
    remote,
    rollouts,
    scale,
    serving,
    starting,
    storing,
    streams,
    switching,
    web,
)
from benchmarks.measure import Row, show

SUITES = {
    "starting": starting.measure,
    "switching": switching.measure,
    "storing": storing.measure,
    "scale": scale.measure,
    "remote": remote.measure,
    "serving": serving.measure,
    "rollouts": rollouts.measure,
    "evidence": evidence.measure,
    "following": following.measure,
    "web": web.measure,
    "evaluating": evaluating.measure,
}
WHEN_NAMED = {"streams": streams.measure}


def main(names: list[str]) -> int:
    suites = SUITES | WHEN_NAMED
    unknown = [name for name in names if name not in suites]
    if unknown:
        print(f"error: no suite {', '.join(unknown)}: {', '.join(suites)}", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="detent-bench-") as folder:
        for name in names or SUITES:
            print(f"measuring: {name}", file=sys.stderr)
            rows += suites[name](Path(folder))
    show(rows)
    missed = [row for row in rows if row.verdict == "MISSED"]
    print(f"{sum(row.verdict == 'met' for row in rows)} limits met, {len(missed)} missed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
