"""How Sphinx makes the pages: `make docs`. Nothing is fetched, and a warning is an error."""

project = "callstream"
copyright = "the callstream authors"  # noqa: A001 - Sphinx's name
extensions = ["myst_parser"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Which functions really run", "fixed_sidebar": True, "page_width": "1100px"}
html_show_sphinx = False
html_extra_path = ["asyncapi.json", "openapi.json"]
