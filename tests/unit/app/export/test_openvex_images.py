"""Whose a hit is: a statement is about a product, and a hit about the images in which code ran."""

import pytest

from app.export.openvex import openvex_document
from app.export.vex_file import VexFile
from tests.support.vex_statements import hit, statement, subject

WEB, WEB_DIGEST = "registry.example/shop/web:1.2", "sha256:" + "4f" * 32


IMAGE = {"image_id": f"registry.example/shop/web@{WEB_DIGEST}", "image_name": WEB, "last_seen_ns": 1, "confirmed": True}


@pytest.mark.parametrize(
    ("product", "is_it"),
    [
        (f"pkg:oci/web@{WEB_DIGEST}", True),
        ("pkg:oci/web@sha256%3A4f4f", True),
        ("pkg:oci/web@sha256:0000", False),
        ("pkg:oci/web", True),
        ("pkg:docker/shop/web@1.2", True),
        ("pkg:docker/shop/web@1.3", False),
        ("pkg:oci/web?repository_url=registry.example%2Fshop%2Fweb", True),
        ("pkg:oci/web?repository_url=registry.example%2Fother%2Fweb", False),
        ("pkg:oci/eb", False),
        ("pkg:oci/cart", False),
        ("pkg:deb/debian/libpng1.6", True),
    ],
)
def test_a_hit_is_a_products_if_its_image_ran_it(product: str, is_it: bool) -> None:
    """By digest or by name; what is not an image cannot be told apart."""
    found = statement([hit(images=[IMAGE])], products=(product,), action="Update.")

    assert found["status"] == ("affected" if is_it else "under_investigation")
    assert is_it or f"In other images than {product}: {WEB}." in found["status_notes"]


def test_products_of_one_vulnerability_have_statements_of_their_own() -> None:
    """One team's hit is not another's."""
    products = ("pkg:oci/web", "pkg:oci/cart", "pkg:oci/mail")
    file = VexFile("Shop", (subject(products=products, action="Update."),))
    document = openvex_document(file, [hit(images=[IMAGE], images_more=0)], "callstream 1")

    assert document is not None
    assert {tuple(one["@id"] for one in found["products"]): found["status"] for found in document["statements"]} == {
        ("pkg:oci/web",): "affected",
        ("pkg:oci/cart",): "under_investigation",
        ("pkg:oci/mail",): "under_investigation",
    }
    unsure = statement([hit(images=[IMAGE], images_more=3)], products=("pkg:oci/cart",), action="Update.")
    assert "is not known: it ran in more images than are listed" in unsure["status_notes"]


def test_a_sure_hit_in_one_image_makes_none_in_another_sure() -> None:
    """The answer has sure hits; in the product's own image there is only a hint."""
    hinted = IMAGE | {"image_name": "registry.example/shop/cart:3", "image_id": "", "confirmed": False}
    answers = [hit(images=[IMAGE, hinted])]
    cart, web = (statement(answers, products=(one,), action="Update.") for one in ("pkg:oci/cart", "pkg:oci/web"))

    assert (cart["status"], web["status"]) == ("under_investigation", "affected")


def test_code_that_ran_in_no_known_image_may_have_run_in_any() -> None:
    """On a host, or in a container whose image the agent did not say; a product that is not an image is affected."""
    found = statement([hit(images=[])], products=("pkg:oci/web",), action="Update.")

    assert found["status"] == "under_investigation"
    assert "Whether in pkg:oci/web is not known: no event says in which image." in found["status_notes"]
    assert statement([hit(images=[])], products=("pkg:deb/debian/png",), action="Update.")["status"] == "affected"
