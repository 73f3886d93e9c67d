"""What an advisory says of one file: not its version, its code absent, present, or why nobody can tell.

`osv` and `rustsec` read advisories, `versions` and `version_rules` compare versions, `go_build` reads what a Go program
was built from, `go_code` and `rust_code` find the functions that an advisory names, and `assessing` decides.
"""
