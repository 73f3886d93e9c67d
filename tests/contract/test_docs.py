"""docs/ as a site: Sphinx makes it without a warning, and every page can be reached."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_site_is_made_without_a_warning(tmp_path: Path) -> None:
    """A link that leads nowhere, a page in no table of contents, and a broken table are warnings."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(tmp_path / "trees")]
    made = subprocess.run(
        [*command, "docs", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")}
    assert pages == {page for page in pages if (tmp_path / "site" / page).is_file()}
