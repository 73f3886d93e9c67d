"""Tracing policies of files: which hooks they set, and which of them report every call."""

from typing import Any

import pytest

from agents.probes.policy_file import (
    CallLimit,
    Hook,
    HookSection,
    NoPolicy,
    TracingPolicy,
    digest_in_name,
    generated_name,
    read_policy,
    spec_digest,
)

BUILD_ID = "ab" * 20


def document(spec: object, name: str = "tls", **changed: Any) -> dict[str, Any]:
    """A policy with this spec."""
    given = {"apiVersion": "cilium.io/v1alpha1", "kind": "TracingPolicy", "metadata": {"name": name}, "spec": spec}
    return given | changed


def policy(spec: dict[str, Any], **changed: Any) -> TracingPolicy:
    """The same, read."""
    found = read_policy(document(spec, **changed))
    assert isinstance(found, TracingPolicy), found
    return found


def limits(entry: dict[str, Any], **of_policy: Any) -> frozenset[CallLimit]:
    """Those of the only uprobe of a policy."""
    [hook] = policy({"uprobes": [{"path": "/a", "symbols": ["f"]} | entry], **of_policy}).hooks
    return hook.limits


def test_each_hook_says_what_it_is_on() -> None:
    """Sections in their own order, entries by their place, digests that are build ids in lower case."""
    uprobe = {
        "path": "/usr/lib/libssl.so.3",
        "symbols": ["SSL_read", "SSL_write"],
        "offsets": [4096],
        "addrs": [8192],
        "binaryDigests": [f"build-id:{BUILD_ID.upper()}", "sha256:" + "0" * 64],
    }
    found = policy({"uprobes": [uprobe], "kprobes": [{"call": "fd_install"}, {"call": "do_exit", "return": True}]})

    assert found.key == ("", "tls")
    assert found.hooks == (
        Hook(section=HookSection.KPROBES, index=0, call="fd_install"),
        Hook(section=HookSection.KPROBES, index=1, call="do_exit", limits=frozenset({CallLimit.RETURN})),
        Hook(
            section=HookSection.UPROBES,
            index=0,
            path="/usr/lib/libssl.so.3",
            symbols=("SSL_read", "SSL_write"),
            offsets=(4096,),
            addresses=(8192,),
            build_ids=frozenset({BUILD_ID}),
            has_other_digests=True,
        ),
    )


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, set()),
        ({"selectors": []}, set()),
        ({"selectors": [{}]}, set()),
        ({"selectors": [{"label": "all", "matchActions": [{"action": "Post", "userStackTrace": True}]}]}, set()),
        ({"selectors": [{"matchArgs": []}]}, set()),
        ({"selectors": [{"matchArgs": [{"index": 0, "operator": "Equal", "values": ["1"]}]}]}, {CallLimit.FILTER}),
        ({"selectors": [{"matchSomethingNew": [1]}]}, {CallLimit.FILTER}),
        ({"selectors": [{"matchBinaries": [{"operator": "In", "values": ["/a"]}]}, {}]}, {CallLimit.FILTER}),
        ({"selectors": [{"matchActions": [{"action": "NoPost"}]}]}, {CallLimit.FILTER}),
        ({"selectors": [{"matchActions": [{"action": "Post", "rateLimit": "1m"}]}]}, {CallLimit.BRIEF_RATE}),
        ({"selectors": [{"matchActions": [{"action": "Post", "rateLimit": "2m"}]}]}, {CallLimit.RATE}),
        ({"selectors": [{"matchActions": [{"action": "Post", "rateLimit": "often"}]}]}, {CallLimit.RATE}),
        ({"return": True}, {CallLimit.RETURN}),
        ({"ignore": {"digestVerificationFailure": True}}, {CallLimit.OPTIONAL}),
        ({"ignore": {"digestVerificationFailure": False}}, set()),
    ],
)
def test_a_hook_that_may_leave_calls_out_says_why(entry: dict[str, Any], expected: set[CallLimit]) -> None:
    """Only what is known to report every call counts as such; a key that nobody knows is a filter."""
    assert limits(entry) == expected


@pytest.mark.parametrize("key", ["podSelector", "containerSelector", "hostSelector"])
@pytest.mark.parametrize("value", [None, {}, {"matchLabels": {"app": "web"}}])
def test_a_policy_of_some_workloads_reports_theirs_only(key: str, value: Any) -> None:
    """An empty selector may still leave out the host."""
    assert limits({}, **{key: value}) == {CallLimit.WORKLOADS}


def test_a_namespaced_policy_is_one_of_some_workloads() -> None:
    """Its namespace is part of its name."""
    metadata = {"name": "tls", "namespace": "shop"}
    found = policy({"usdts": [{"path": "/a"}]}, kind="TracingPolicyNamespaced", metadata=metadata)

    assert found.key == ("shop", "tls")
    assert [hook.limits for hook in found.hooks] == [{CallLimit.WORKLOADS}]


def test_a_generated_name_holds_the_digest_of_the_spec() -> None:
    """A changed spec under the old name is refused; names of others say nothing."""
    spec = {"uprobes": [{"path": "/a", "symbols": ["f"]}]}
    name = generated_name("go-2025", spec)

    assert digest_in_name(name) == spec_digest(spec)[:16]
    assert digest_in_name("callstream-mine") is None
    assert policy(spec, metadata={"name": name}).digest == spec_digest(dict(reversed(spec.items())))
    refused = read_policy(document({"uprobes": []}, name=name))
    assert isinstance(refused, NoPolicy)
    assert "the name says that the digest of the spec begins with" in refused.reason


@pytest.mark.parametrize(
    ("strange", "reason"),
    [
        (None, "the document is not a mapping"),
        ([], "the document is not a mapping"),
        ({}, "kind is not one of TracingPolicy, TracingPolicyNamespaced"),
        ({"kind": ["TracingPolicy"]}, "kind is not one of TracingPolicy, TracingPolicyNamespaced"),
        (document({}, metadata=None), "metadata is not a mapping"),
        (document({}, name=""), "metadata.name is missing"),
        (document({}, metadata={"name": 7}), "metadata.name is not text"),
        (document(None), "spec is not a mapping"),
        (document({"uprobes": {}}), "spec.uprobes is not a list"),
        (document({"uprobes": ["/a"]}), "spec.uprobes[0] is not a mapping"),
        (document({"uprobes": [{"path": 1}]}), "spec.uprobes[0].path is not text"),
        (document({"uprobes": [{"symbols": "f"}]}), "spec.uprobes[0].symbols is not a list"),
        (document({"uprobes": [{"symbols": [None, 1]}]}), "spec.uprobes[0].symbols is not text"),
        (document({"uprobes": [{"offsets": [True]}]}), "spec.uprobes[0].offsets has what is not a number of bytes"),
        (document({"uprobes": [{"offsets": [-1]}]}), "spec.uprobes[0].offsets has what is not a number of bytes"),
        (document({"kprobes": [{"call": "f", "selectors": [1]}]}), "spec.kprobes[0].selectors[0] is not a mapping"),
        (document({"kprobes": [{"call": "f"}] * 10_001}), "spec.kprobes has more than 10,000 entries"),
        (document({"uprobes": [{"symbols": ["f"] * 6_000}] * 2}), "has more than 10,000 hooks"),
    ],
)
def test_what_is_no_policy_says_why(strange: object, reason: str) -> None:
    """And where; never half a policy."""
    assert read_policy(strange) == NoPolicy(reason)
