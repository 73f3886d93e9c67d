"""The subjects of a schema registry, which callstream itself never lists."""

import urllib3


def subjects_of(url: str) -> list[str]:
    """Names of all subjects of the registry at a URL, sorted."""
    answer = urllib3.request("GET", f"{url.rstrip('/')}/subjects")
    assert answer.status == 200
    return sorted(answer.json())
