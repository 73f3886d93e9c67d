"""Public events to a table of the symbols that were really executed, with exact counts.

    call                        one RuntimeCallEvent of `runtime.calls`
     │  reading/regular_calls, observations
     ▼
    evidence × place            what the call says about symbols, and where it happened
     │  reading/gathering
     ▼
    sightings                   when such calls happened, and their raw offsets
     │  counting/symbol_counter
     ▼
    tally                       the counts of one symbol
     │  counting/partial
     ▼
    partial                     a tally with the raw offsets that it covers, of one raw partition
     │  table/merging
     ▼
    row                         the newest partials of all raw partitions; published as their sum

- A *touch* is what one call says about one symbol: on how many frames it stood, how surely, and who called it. The
  *evidence* of a call is all its touches. Calls with equal stacks share one evidence.
- A *place* is the image, the namespace and the workload that a call happened in.
- *Sightings* are the calls with the same evidence at the same place that wait in memory: their times and raw offsets. A
  *summary* is what a tally needs of them: how many, first, last, by hour, and where last.
- A *tally* adds up touches times summaries, for one symbol.
- A *partial* is cumulative: of two partials of one symbol and raw partition, the one with the higher last raw offset
  replaces the other. So partials may be lost, repeated or late, and no call is counted twice.
- A *row* holds one partial for each raw partition. CountStep flushes partials, MergeStep publishes rows.
- A *watch* asks whether a symbol runs (watch/). Its answer needs the rows, and the coverage of all nodes
  (agents/coverage), because a symbol that is not in the table may have run while events were lost.
"""
