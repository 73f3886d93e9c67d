"""The decisions of the stages, in the order of the data: canonicalize, privacy, hot_symbols.

Stages share `symbols` and `coverage`. Only agent.py touches Faust; all else is pure.

A raw event becomes a canonical event, and that becomes a call (a test runs this example):

>>> from agents.canonicalize.events import Canonicalizer
>>> from agents.privacy.calls import PrivacyFilter
>>> from agents.privacy.policy_file import built_in_policy
>>> from agents.privacy.redaction.engine import RedactionEngine
>>> from schemas import avro_wire, records
>>> from schemas.tetragon.events_pb2 import GetEventsResponse

>>> raw = GetEventsResponse(node_name="node-1")
>>> raw.process_exec.process.exec_id = "bm9kZS0xOjEyMzo0NTY="
>>> raw.process_exec.process.binary = "/usr/bin/curl"
>>> raw.process_exec.process.arguments = "--user bob:hunter2 https://shop.example/"
>>> canonical = Canonicalizer({}).canonicalize(raw.SerializeToString(), partition=3, offset=300, receipt_ms=0)
>>> policy = built_in_policy("default")
>>> call = PrivacyFilter(policy, RedactionEngine(policy.choices)).filter(canonical.value)
>>> event = records.decode(records.CALL, avro_wire.schema_header(7) + call.body)
>>> event["process"]["arguments"], event["source"]
('--user bob:[redacted] https://shop.example/', {'partition': 3, 'offset': 300})
"""
