"""Which symbols of a Go program are the functions that an advisory names."""

import pytest

from agents.vulnerabilities.go_code import FoundFunctions, GoCode, symbol_prefix


@pytest.mark.parametrize(
    ("import_path", "prefix"),
    [
        ("gopkg.in/yaml.v2", "gopkg.in/yaml%2ev2"),
        ("github.com/a/b.c/d", "github.com/a/b.c/d"),
        ("example.com", "example%2ecom"),
        ("a.b/c%d", "a.b/c%25d"),
        ("a.b/ü", "a.b/%c3%bc"),
        ("net/http", "net/http"),
    ],
)
def test_a_path_is_escaped_as_the_linker_does(import_path: str, prefix: str) -> None:
    """Dots in its last element only."""
    assert symbol_prefix(import_path) == prefix


@pytest.mark.parametrize(
    ("symbol", "path", "named"),
    [
        ("net/http.ListenAndServe", "net/http", "ListenAndServe"),
        ("net/http.(*Server).Serve", "net/http", "Server.Serve"),
        ("net/http.Header.Get", "net/http", "Header.Get"),
        ("net/http.(*Server).Serve-fm", "net/http", "Server.Serve"),
        ("net/http.(*Server).Serve.func1", "net/http", "Server.Serve"),
        ("net/http.(*Server).Serve.func1.2", "net/http", "Server.Serve"),
        ("net/http.(*Server).Serve.deferwrap1", "net/http", "Server.Serve"),
        ("net/http.(*Server).Serve.gowrap3", "net/http", "Server.Serve"),
        ("net/http.Serve-range1", "net/http", "Serve"),
        ("net/http.Serve.func2-range1", "net/http", "Serve"),
        ("gopkg.in/yaml%2ev2.Unmarshal", "gopkg.in/yaml.v2", "Unmarshal"),
        ("example.com/g.Map[...]", "example.com/g", "Map"),
        ("example.com/g.Map[go.shape.int,example.com/x/y.T]", "example.com/g", "Map"),
        ("example.com/g.Map[...].func1", "example.com/g", "Map"),
        ("example.com/g.(*List[...]).Push", "example.com/g", "List.Push"),
        ("example.com/g.(*List[example.com/x/y.T]).Push", "example.com/g", "List.Push"),
        ("example.com/g.List[...].Len", "example.com/g", "List.Len"),
        ("example.com/g.init.0", "example.com/g", "init#1"),
        ("example.com/g.map.init.3", "example.com/g", "init#1"),
        ("example.com/g.init.1.func2", "example.com/g", "init#2"),
        (
            "example.com/old/vendor/golang.org/x/net/http2.(*Server).ServeConn",
            "golang.org/x/net/http2",
            "Server.ServeConn",
        ),
        ("main.run", "example.com/cmd/tool", "run"),
        ("main.(*app).run.func1", "example.com/cmd/tool", "app.run"),
    ],
)
def test_a_symbol_is_the_function_that_is_named(symbol: str, path: str, named: str) -> None:
    """Whatever the compiler made of it."""
    found = GoCode([symbol], "example.com/cmd/tool").functions(path, named)

    assert found.sure == {symbol}


@pytest.mark.parametrize(
    ("symbol", "path", "named"),
    [
        ("net/http.ListenAndServeTLS", "net/http", "ListenAndServe"),
        ("net/http.(*Server).Serve", "net/http", "Serve"),
        ("net/http/httputil.Serve", "net/http", "Serve"),
        ("example.com/net/http.Serve", "net/http", "Serve"),
        ("vendor/golang.org/x/net/http2.Serve", "golang.org/x/net/http2", "Serve"),
        ("main.run", "example.com/other", "run"),
        ("type:.eq.example.com/g.T", "example.com/g", "T"),
        ("example.com/g.map.init.3", "example.com/h", "init"),
        ("go:(*struct { *example.com/g.T; io.Reader }).Read", "example.com/g", "T.Read"),
        ("_cgo_panic", "", "panic"),
        ("", "", ""),
    ],
)
def test_a_symbol_of_another_function_is_not_it(symbol: str, path: str, named: str) -> None:
    """Neither for sure nor perhaps."""
    assert not any(GoCode([symbol], "example.com/cmd/tool").functions(path, named))


def test_a_closure_of_an_inlined_function_may_be_of_any_package() -> None:
    """It has the names of all functions around it, and only the outermost one's package."""
    closure = "example.com/app.Handle.Parse.(*Decoder).Next.func1"
    code = GoCode(["example.com/app.Handle", closure], "example.com/app")

    assert code.functions("example.com/app", "Handle").sure >= {closure}
    assert code.functions("example.com/lib", "Parse").maybe == {closure}
    assert code.functions("example.com/lib", "Decoder.Next").maybe == {closure}
    assert not any(code.functions("example.com/lib", "Next"))


def test_a_closure_of_a_method_is_of_its_own_package() -> None:
    """A function of the method's name elsewhere is not in it."""
    code = GoCode(["a.b/c.(*T).Parse.func1", "a.b/c.V.Parse", "a.b/c.V.Parse.func1"], "main")

    assert not any(code.functions("golang.org/x/net/html", "Parse"))


def test_package_main_may_be_any_where_its_path_is_not_known() -> None:
    """Files that were built one by one have no path."""
    assert GoCode(["main.run"], "").functions("example.com/cmd/tool", "run").maybe == {"main.run"}


def test_the_standard_library_has_copies_of_others() -> None:
    """They are its own, and told apart from the module that they were copied from."""
    code = GoCode(["vendor/golang.org/x/net/idna.ToASCII"], "main")

    assert code.functions("golang.org/x/net/idna", "ToASCII", of_go=True).sure
    assert not code.functions("golang.org/x/net/idna", "ToASCII").sure
    assert code.vendored_by_go("golang.org/x/net/idna")


def test_a_whole_package_is_every_function_of_it() -> None:
    """The code of its types alone may be none of its own."""
    code = GoCode(["a.b/c.F", "a.b/c.init", "type:.eq.a.b/c.T", "type:.eq.[4]a.b/d.T", "a.b/c/e.F"], "main")

    assert code.whole_package("a.b/c").sure == {"a.b/c.F", "a.b/c.init"}
    assert code.whole_package("a.b/d") == FoundFunctions(frozenset(), frozenset(("type:.eq.[4]a.b/d.T",)))


def test_a_package_that_calls_c_is_known() -> None:
    """By what cgo makes for it."""
    code = GoCode(["a.b/c._Cfunc_sqlite3_open", "a.b/d.F"], "main")

    assert (code.uses_c("a.b/c"), code.uses_c("a.b/d")) == (True, False)
