"""The symbol store: built ahead of time from binaries and debug files, opened by the canonicalize stage.

Containers choose the files that are read here. So everything that parses one (elf, symbol_tables, gopclntab,
dwarf_lines, index_builder) runs in a process of its own with limits (reader), and everything that is trusted (store,
module_map, kallsyms) only ever sees what that process wrote.
"""
