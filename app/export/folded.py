"""Folded stacks: one line a stack, frames from the outside in with `;` between them, a blank, the number of events.

flamegraph.pl and compatible tools read it. A kernel frame ends with `_[k]`, as in the folded stacks of perf. `;` inside
a name becomes `%3B`; names have no line ends.
"""

from collections.abc import Iterator

from app.export.call_tree import CallTree
from app.export.stack_frames import Demangle, StackFrame, label_of


def folded_lines(tree: CallTree, demangle: Demangle) -> Iterator[str]:
    """The lines, each with its end."""
    labels = [_label(frame, demangle) for frame in tree.frames]
    for frames, events in tree.stacks():
        yield f"{';'.join([labels[number] for number in frames])} {events}\n"


def _label(frame: StackFrame, demangle: Demangle) -> str:
    return label_of(frame, demangle).replace(";", "%3B") + ("_[k]" if frame.is_kernel_space else "")
