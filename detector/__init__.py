"""Türmer: anomaly detection for a city's firewall and authentication logs.

The journey of one log line, top to bottom:

    raw topics ──► ROUTE ───────────────────────► tuermer.events ──► SCORE ──────────────────────────► PostgreSQL
     (bytes)       decode → privacy                (Arrow batches,    features → forest → judge          (incidents,
                                                    key = shard)                                          outbox)
          rejects ► tuermer.dead-letters

1. `detector.sources`   hands over raw records as columns (`records.Records`): Kafka, files, memory.
2. `detector.decode`    turns bytes into ECS columns (`decode.ecs`): four tokenizers, one table per product.
3. `detector.privacy`   replaces what names a person by tokens; past this line no plain name exists.
4. `detector.features`  keeps a few decayed counters per entity and turns each event into vectors.
5. `detector.forest`    scores the vectors and says which features spoke.
6. `detector.judge`     p-values, incidents, budget, reasons.
7. `detector.store`     writes it all in one PostgreSQL transaction per batch.
8. `detector.grafana`   pushes dashboards and alert rules over views of it, and polls verdicts; `detector.web` is a page of its own;
   `detector.deliver` tells other receivers.

Beside the journey: `detector.learn` (training, registry of models, drift, backtest), `detector.opening` (names, by two people together),
`detector.simulate` (a city to try it all on).

`pipeline.py` is the list of these steps; `daemon.py` (ROUTE), `scorer.py` (SCORE) and `demo.py` (both, on a simulated
city) hold the only endless loops. A module may import from rooms above it in this list, never from one below; `features`, `forest`
and `judge` import nothing that does I/O. `tests/test_structure.py` checks both.
"""

import hashlib
import os
from pathlib import Path

__version__ = "0.1.0"


def _numba_cache() -> str:
    """Where compiled kernels are kept: a folder per state of our sources.

    numba looks only at the file a function stands in, so a changed callee in another module would keep serving the old
    machine code; and an installed package may lie where nobody can write.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return str(Path(os.environ.get("TUERMER_STATE", "var")).absolute() / "numba" / digest.hexdigest()[:16])


os.environ.setdefault("NUMBA_CACHE_DIR", _numba_cache())  # before anyone imports numba
