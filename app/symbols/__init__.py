"""The symbol store: built ahead of time from binaries and debug files, opened by the canonicalize stage.

Containers choose the files that are read here. So everything that parses one (elf, symbol_tables, unwind_table,
gopclntab, go_inlines, dwarf_*, debug_information, index_builder) runs in a process of its own with limits (reader), and
everything that is trusted (store, module_maps, kallsyms) only ever sees what that process wrote. `copies` chooses among
the files of one build id, `richness` among their indexes.
"""
