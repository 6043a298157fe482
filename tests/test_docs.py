"""The documentation: it builds without a warning, fetches nothing, and names what is public."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import dolphin
from dolphin.cli.app import _command

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_the_site_builds_and_fetches_nothing(tmp_path: Path) -> None:
    shutil.copy(ROOT / "mkdocs.yml", tmp_path / "mkdocs.yml")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "build" / "site"
    pages = {page.relative_to(site).as_posix(): page.read_text() for page in site.rglob("*.html")}
    for path in (ROOT / "docs").rglob("*.md"):
        name = path.relative_to(ROOT / "docs").with_suffix("")
        assert f"{name}.html" in pages, f"docs/{name}.md is not in the nav of mkdocs.yml"
    for name, page in pages.items():
        assert not re.search(r"""<(script|img|link)[^>]*\b(src|href)=["']https?:""", page), name


def test_every_notebook_is_shown_as_it_is_now() -> None:
    render = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "render_notebooks.py")))
    notebooks = sorted(render.NOTEBOOKS.glob("*.py"))
    assert {path.stem for path in render.PAGES.glob("*.md")} == {path.stem for path in notebooks}
    for path in notebooks:
        assert render.is_fresh(path), f"{path.name} has changed: python scripts/render_notebooks.py"
        page = render.page_of(path).read_text()
        assert "```python" in page and "Traceback" not in page and "<script" not in page
        for picture in re.findall(r"\]\(([^)]+\.png)\)", page):
            assert (render.PAGES / picture).stat().st_size < 200_000, picture
    assert sum(path.stat().st_size for path in render.PAGES.iterdir()) < 3_000_000


def test_the_reference_names_what_is_public() -> None:
    text = (ROOT / "docs" / "reference.md").read_text()
    named = set(re.findall(r"^::: dolphin\S*?\.?([A-Za-z_]+)$", text, re.M)) | {"open"}
    assert set(dolphin.__all__) <= named and "open_handle" in named, set(dolphin.__all__) - named


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (ROOT / link).exists(), link
    for path in re.findall(r"`((?:docs|research|experiments|tests|scripts)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path


def commands() -> Iterator[tuple[str, bool, str]]:
    """Every command that README, documentation and notebooks print: its place, whether it is to be typed, its text."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*")]
    for page in (page for page in pages if page.is_file()):
        for number, line in enumerate(re.sub(r"\\\n\s*", " ", page.read_text()).splitlines(), 1):
            typed = re.match(r"    (dolphin [a-z].*)", line)
            found = (
                [(True, typed[1])] if typed else [(False, one) for one in re.findall(r"`(dolphin [a-z][^`]*)`", line)]
            )
            for whole, text in found:
                for part in re.split(r"&&|;|\s\|\s|\s{3,}|\s+[#(]\s*", text):
                    if part.strip().startswith("dolphin "):
                        yield f"{page.relative_to(ROOT)}:{number}: {part.strip()}", whole, part.strip()


def complaint(text: str) -> str:
    """What the command line says to these words, before anything is done."""
    # A letter stands for what one types, which may be a number.
    words = [re.sub(r"^[A-Z]$", "1", word) for word in shlex.split(re.sub(r"[][]", " ", text))[1:]]
    command = _command()
    try:
        context = command.make_context("dolphin", words)
        while hasattr(command, "commands"):
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            context = command.make_context(name, rest, parent=context)
    except Exception as error:
        return type(error).__name__
    return ""


def test_every_command_that_is_printed_can_be_typed() -> None:
    told = list(commands())
    assert len(told) > 150
    for place, whole, text in told:
        said = complaint(text)
        # In a sentence a verb or an option stands alone.
        alone = said in ("MissingParameter", "BadOptionUsage", "NoArgsIsHelpError") and not whole
        assert not said or alone or "|" in text, f"{place}: {said}"
