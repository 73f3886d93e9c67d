"""The files of tracing policies that an operator supplies (`CALLSTREAM_TRACING_POLICIES_DIR`)."""
