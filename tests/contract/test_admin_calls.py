"""What librdkafka's admin client must not be asked, since its answer may be the end of the process."""

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

OF_A_COORDINATOR: Final = frozenset(
    {
        "alter_consumer_group_offsets",
        "delete_consumer_groups",
        "describe_consumer_groups",
        "list_consumer_group_offsets",
    }
)
"""Each of these looks for a group's coordinator first. Where the question was given up before one was found, and one is
found then, an assertion of librdkafka ends the process."""


def test_no_module_asks_the_admin_client_what_a_coordinator_answers() -> None:
    """`app/kafka/group_reader.py` and `app/kafka/group_members.py` ask it in ways that survive."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.attr}"
        for path in sorted((ROOT / "app").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in OF_A_COORDINATOR
    ]
    assert found == []
