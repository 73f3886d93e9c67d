"""Call trees for tests of exports, with every kind of frame."""

from collections.abc import Iterable
from typing import Final

from app.export.call_tree import CallTree, TreeBuilder
from app.export.stack_frames import PROBE, StackFrame

BUILD_ID: Final = "4f1bc3" * 6

CONNECT: Final = StackFrame("kernel", "tcp_connect", resolution="Kernel", is_kernel_space=True)
PUT: Final = StackFrame("/usr/bin/shop", "_ZN4shop6Basket3putERKi", build_id=BUILD_ID, resolution="Exact")
MAIN: Final = StackFrame("/usr/bin/shop", "main", build_id=BUILD_ID, resolution="Exact")
HINTED: Final = StackFrame("/opt/vendor/libpay.so", hint="pay_submit", resolution="HintOnly")
PLACE: Final = StackFrame("/opt/vendor/libpay.so", offset=0x99AB, build_id="ab" * 20, resolution="NoSymbolTable")
ANONYMOUS: Final = StackFrame("[anon]", resolution="Anonymous")
PROBED: Final = StackFrame("/usr/lib/libssl.so.3", "SSL_read", resolution=PROBE)

STACKS: Final[tuple[tuple[str, tuple[StackFrame, ...], int], ...]] = (
    ("/usr/bin/shop", (CONNECT, PUT, MAIN), 5),
    ("/usr/bin/shop", (PUT, MAIN), 2),
    ("/usr/bin/shop", (PLACE, HINTED, MAIN), 3),
    ("/usr/bin/shop", (ANONYMOUS, MAIN), 1),
    ("/usr/bin/cat", (PROBED,), 7),
)
"""Binary, frames from the inside out, events."""

NAMES: Final = {
    ("/usr/bin/shop", "main", "shop::Basket::put(int const&)", "tcp_connect"): 5,
    ("/usr/bin/shop", "main", "shop::Basket::put(int const&)"): 2,
    ("/usr/bin/shop", "main", "pay_submit?", "libpay.so+0x99ab"): 3,
    ("/usr/bin/shop", "main", "[anon]"): 1,
    ("/usr/bin/cat", "SSL_read"): 7,
}
"""The same as names, from the outside in."""


def demangle(symbol: str) -> str:
    """Enough of a demangler for these trees."""
    return {"_ZN4shop6Basket3putERKi": "shop::Basket::put(int const&)"}.get(symbol, symbol)


def tree_of(stacks: Iterable[tuple[str, tuple[StackFrame, ...], int]] = STACKS) -> CallTree:
    """A tree of stacks, added in their order."""
    builder = TreeBuilder()
    for binary, frames, events in stacks:
        builder.add(binary, frames, events)
    return builder.tree()
