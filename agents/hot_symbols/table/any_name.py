"""Which rows of a table mean an asked function: a row carries one name of its code, and any name may be asked for.

Rows of a file that an index describes are meant if a watch on the function would look at them: under any name of its
code, of what a compiler made of it, or of what an IFUNC chooses. Of all rows, those that a compiler made of the asked
function are meant too. A name that only an older index of the file had is meant if it was that of the same code.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agents.hot_symbols.identity import SymbolIdentity, parse_symbol_id, symbol_id
from agents.hot_symbols.watch.files import FileNames, NoNames
from agents.hot_symbols.watch.older_names import in_rows
from agents.hot_symbols.watch.watched_code import code_in_file
from agents.symbols.compiler_clones import common_word, function_of, symbols_of

NamesOf = Callable[[str], FileNames | NoNames]
"""The index of a build id."""

NamesBefore = Callable[[str], Iterable[FileNames]]
"""Other indexes of the same code of a build id, which named rows before."""


class AnyName:
    """The names of one function, by file. Files are looked into as their rows come."""

    def __init__(
        self,
        asked: str,
        names_of: NamesOf | None,
        build_id: str | None = None,
        names_before: NamesBefore = lambda _build_id: (),
    ) -> None:
        """`names_of` is None where there is no symbol store. With a `build_id`, only that file is meant."""
        self._asked = asked
        self._names_before = names_before
        self._only = build_id
        self._function = function_of(asked)
        self._names_of = names_of
        self._keys: dict[bytes, frozenset[bytes]] = {}
        self._names: dict[str, frozenset[str]] = {}  # by build id, as many as the table has
        self._word = common_word(self._function).encode()

    def may_be(self, key: bytes) -> bool:
        """Whether the row with this key may be meant, at little cost; a row that is meant always may be."""
        origin, _, symbol = key.partition(b"!")
        if self._word in symbol:
            return True
        keys = self._keys.get(origin)
        if keys is None:
            keys = self._keys[origin] = self._keys_in(origin)
        return symbol in keys

    def is_it(self, symbol: str, build_id: str | None) -> bool:
        """Whether a row is of the asked function."""
        if not symbol or (self._only is not None and build_id != self._only):
            return False
        return function_of(symbol) == self._function or (build_id is not None and symbol in self._other_names(build_id))

    def _keys_in(self, origin: bytes) -> frozenset[bytes]:
        """What the keys of rows of a file have behind its build id, for all names of the asked function's code."""
        try:
            build_id = parse_symbol_id(origin.decode() + "!x").build_id
        except ValueError:
            return frozenset()
        if build_id is None or (self._only is not None and build_id != self._only):
            return frozenset()
        ids = (symbol_id(SymbolIdentity(build_id, None, name)) for name in self._other_names(build_id))
        return frozenset(text.partition("!")[2].encode() for text in ids)

    def _other_names(self, build_id: str) -> frozenset[str]:
        if build_id not in self._names:
            self._names[build_id] = self._read_names(build_id)
        return self._names[build_id]

    def _read_names(self, build_id: str) -> frozenset[str]:
        names = NoNames.NO_INDEX if self._names_of is None else self._names_of(build_id)
        if isinstance(names, NoNames):
            return frozenset()
        own = symbols_of(self._function, names.names_with(common_word(self._function)))
        if not own:
            return frozenset()
        resolvers = {name for one in own for code in names.codes(one) if code.is_resolver for name in code.names}
        older = self._older_names(build_id, own, names)
        return frozenset(code_in_file(self._asked, build_id, own, names).row_names | resolvers | older)

    def _older_names(self, build_id: str, own: Iterable[str], names: FileNames) -> frozenset[str]:
        """What older indexes called the code; a name that the one in use gives to something else may mean that."""
        spans = names.spans(code.address for one in own for code in names.codes(one))
        before = (index.names_over(spans).items() for index in self._names_before(build_id))
        return in_rows(name for over in before for name, is_whole in over if is_whole and not names.knows(name))


def other_names(row: Mapping[str, Any], names_of: NamesOf | None) -> list[str]:
    """Names that the code of a row has besides the row's own, by the index of its file."""
    names = None if names_of is None or not row["build_id"] or not row["symbol"] else names_of(row["build_id"])
    if names is None or isinstance(names, NoNames):
        return []
    return sorted({name for code in names.codes(row["symbol"]) for name in code.names} - {row["symbol"]})
