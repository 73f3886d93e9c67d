"""Every data shape of callstream: Avro schemas, typed twins, codecs, topic names and generated protobuf code.

Imports nothing of ours, so that any part may import it.
"""
