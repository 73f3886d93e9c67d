"""docs/ as a site: Sphinx makes it without a warning, and every page can be reached."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import known_variables

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_site_is_made_without_a_warning(tmp_path: Path) -> None:
    """A link that leads nowhere, a page in no table of contents, and a broken table are warnings."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(tmp_path / "trees")]
    made = subprocess.run(
        [*command, "docs", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")}
    assert pages == {page for page in pages if (tmp_path / "site" / page).is_file()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_a_page_names_is_there(page: Path) -> None:
    """By its name, or by its beginning where a page means several (`CALLSTREAM_KAFKA_SASL_*`)."""
    settings = {*known_variables(), "CALLSTREAM_BUILD_COMMIT"}
    for name, several in re.findall(r"(CALLSTREAM_[A-Z_]+)(\*?)", page.read_text(encoding="utf-8")):
        assert name in settings or (several and any(one.startswith(name) for one in settings)), name
