"""From Tetragon's gRPC stream to the raw topic, bytes untouched.

    client -> buffer (-> spill) -> writer -> tetragon.raw
       \\        |          |        /
        `-----> coverage -> gap_writer -> runtime.coverage

`run` puts it together. Nothing here knows what an event means beyond whose it is (`keys`).
"""
