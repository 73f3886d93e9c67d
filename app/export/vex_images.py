"""Which product of a VEX file an image is, by digest or by name: one team's hit must not be another's.

A product that is a container image is a package URL of the type `oci` or `docker` (purl-spec, types/oci, types/docker):
`pkg:oci/web@sha256%3A4f1b...?repository_url=registry/shop/web`. With a digest, the digest decides, as far as it is
written out; without one, the name does, and the repository where it is given. What ran in no known image may have run
in any. Whether code ran in any other product cannot be told by images.
"""

import enum
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote

_IMAGE: Final = re.compile(
    r"pkg:(?:oci|docker)/(?P<name>[^@?#]+)(?:@(?P<version>[^?#]*))?(?:\?(?P<more>[^#]*))?(?:#.*)?"
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]+")


class Whereabouts(enum.Enum):
    """Whether watched code ran in a product."""

    IN_IT = enum.auto()
    MAY_BE_IN_IT = enum.auto()
    IN_NO_KNOWN_IMAGE = enum.auto()  # on a host, or in a container whose image the agent did not say
    ELSEWHERE = enum.auto()


def where_it_ran(product: str, answer: Mapping[str, Any]) -> Whereabouts:
    """Where the hits of an answer were, as seen from a product."""
    image = _IMAGE.fullmatch(product)
    if image is None:
        return Whereabouts.IN_IT
    if not answer["images"]:
        return Whereabouts.IN_NO_KNOWN_IMAGE
    if any(_is_image(image, one["image_id"], one["image_name"]) for one in answer["images"]):
        return Whereabouts.IN_IT
    return Whereabouts.MAY_BE_IN_IT if answer["images_more"] else Whereabouts.ELSEWHERE


def is_sure_in(product: str, answer: Mapping[str, Any]) -> bool:
    """Whether one of the hits that were in a product is sure; hits elsewhere make none of these so."""
    image = _IMAGE.fullmatch(product)
    if image is None:
        return bool(answer["confirmed_hits"])
    return any(one["confirmed"] and _is_image(image, one["image_id"], one["image_name"]) for one in answer["images"])


def _is_image(product: re.Match[str], image_id: str, image_name: str) -> bool:
    version = unquote(product["version"] or "").lower()
    if _DIGEST.fullmatch(version):
        found = _DIGEST.search(image_id) or _DIGEST.search(image_name)
        return found is not None and found[0].startswith(version)
    repository, _, tag = _parts(image_name)
    wanted = parse_qs(product["more"] or "").get("repository_url", [""])[0] or unquote(product["name"])
    is_named = repository == wanted or repository.endswith("/" + wanted)
    return is_named and (not version or version == tag)


def _parts(image_name: str) -> tuple[str, str, str]:
    """Repository, digest and tag of `registry:5000/shop/web:1.2@sha256:...`."""
    name, _, digest = image_name.partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return head + slash + last, digest, tag
