"""Links and pictures of the documentation lead somewhere, in the repository and in the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "findings" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_is_a_file_that_the_site_has_too(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path = (page.parent / target).resolve()
        assert path.is_file(), target
        if page.parent == ROOT / "docs":
            assert path.is_relative_to(ROOT / "docs"), f"{target} is not part of the site"


def test_every_page_is_in_the_sites_navigation() -> None:
    listed = re.findall(r"^  - .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == {page.name for page in PAGES if page.parent == ROOT / "docs"}


def test_every_finding_is_listed_and_says_what_it_must() -> None:
    scripts = sorted((ROOT / "findings").glob("*.sh"))
    listed = re.findall(r"^\| `(\S+\.sh)`", (ROOT / "findings" / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [script.name for script in scripts]
    for script in scripts:
        head = script.read_text(encoding="utf-8")
        for part in ("# Software:", "# Guess:", "# Instead:", "# Seen:", "expect "):
            assert part in head, f"{script.name}: {part}"
