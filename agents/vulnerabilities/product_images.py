"""Which product a container image is, by digest or by name: one team's hit must not be another's.

A product that is a container image is a package URL of the type `oci` or `docker` (purl-spec, types/oci, types/docker):
`pkg:oci/web@sha256%3A4f1b...?repository_url=registry/shop/web`. With a digest, the digest decides, as far as it is
written out; without one, the name does, and the repository where it is given. What ran in no known image may have run
in any. Images do not say whether code ran in any other product.
"""

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote

_IMAGE: Final = re.compile(
    r"pkg:(?:oci|docker)/(?P<name>[^@?#]+)(?:@(?P<version>[^?#]*))?(?:\?(?P<more>[^#]*))?(?:#.*)?"
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]+")


class Whereabouts(enum.Enum):
    """Whether code that ran, ran in a product."""

    IN_IT = enum.auto()
    MAY_BE_IN_IT = enum.auto()  # it ran in more images than are listed
    IN_NO_KNOWN_IMAGE = enum.auto()  # on a host, or in a container whose image the agent did not say
    ELSEWHERE = enum.auto()


@dataclass(frozen=True, slots=True)
class HitImage:
    """An image in which code ran, by id and name, as far as the agent said them; whether a hit in it is sure."""

    image_id: str
    image_name: str
    is_sure: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self.image_name or self.image_id


def hit_images(listed: Iterable[Mapping[str, Any]]) -> tuple[HitImage, ...]:
    """The images of an answer to a watch (schemas/avro/watched_symbol.avsc)."""
    return tuple(HitImage(one["image_id"], one["image_name"], one["confirmed"]) for one in listed)


@dataclass(frozen=True, slots=True)
class ProductImage:
    """An image that is a product: by the beginning of its digest, else by repository, and by tag where it has one."""

    digest: str = ""
    repository: str = ""
    tag: str = ""

    @classmethod
    def of_package_url(cls, product: str) -> Self | None:
        """The image that a product is; None if it is something else."""
        image = _IMAGE.fullmatch(product)
        if image is None:
            return None
        version = unquote(image["version"] or "")
        if _DIGEST.fullmatch(version.lower()):
            return cls(digest=version.lower())
        given = parse_qs(image["more"] or "").get("repository_url", [""])[0]
        return cls(repository=given or unquote(image["name"]), tag=version)

    @classmethod
    def of_name(cls, name: str) -> Self:
        """The image that an operator names: `sha256:...`, `repository@sha256:...` or `repository:tag`."""
        digest = _DIGEST.search(name.lower())
        if digest is not None:
            return cls(digest=digest[0])
        repository, tag = _parts(name)
        return cls(repository=repository, tag=tag)

    def where(self, images: Sequence[HitImage], more: int) -> Whereabouts:
        """Where hits were that were in these images, and in `more` others."""
        if not images:
            return Whereabouts.IN_NO_KNOWN_IMAGE
        if any(map(self._is, images)):
            return Whereabouts.IN_IT
        return Whereabouts.MAY_BE_IN_IT if more else Whereabouts.ELSEWHERE

    def is_sure_in(self, images: Iterable[HitImage]) -> bool:
        """Whether one of the hits in it is sure; hits elsewhere make none of these so."""
        return any(one.is_sure and self._is(one) for one in images)

    def _is(self, image: HitImage) -> bool:
        if self.digest:
            found = _DIGEST.search(image.image_id) or _DIGEST.search(image.image_name)
            return found is not None and found[0].startswith(self.digest)
        repository, tag = _parts(image.image_name)
        is_named = repository == self.repository or repository.endswith("/" + self.repository)
        return is_named and (not self.tag or self.tag == tag)


def _parts(image_name: str) -> tuple[str, str]:
    """Repository and tag of `registry:5000/shop/web:1.2@sha256:...`."""
    name, _, _ = image_name.partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return head + slash + last, tag
