"""`callstream ingest` for which what is two seconds late is lost, where a minute is allowed.

`python -m tests.support.hasty_ingest ingest`, with settings in the environment.
"""

from functools import partial
from typing import Final

from app.__main__ import main
from app.ingest import kernel_books, run
from app.ingest.node_claims import NodeClaims
from schemas.units import NS_PER_SECOND

LATENESS_NS: Final = 2 * NS_PER_SECOND

if __name__ == "__main__":
    setattr(kernel_books, "LATENESS_NS", LATENESS_NS)  # noqa: B010 - it is final elsewhere
    setattr(run, "NodeClaims", partial(NodeClaims, lateness_ns=LATENESS_NS))  # noqa: B010 - it is a class elsewhere
    main()
