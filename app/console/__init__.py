"""The console: a page to look, search and ask why, over public topics and the workers' own answers. It writes nothing.

`web/` has the page: plain modules without a build. The rest serves it, and what it asks for as JSON.
"""
