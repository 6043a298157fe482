"""The notebooks with what they print and draw, as pages of the documentation: ``docs/notebooks``.

Each notebook runs from top to bottom in a workspace of its own; its cells and outputs become one Markdown page. Tables
stay tables, pictures become PNG files: those of plotly are drawn by a headless Chromium with the plotly of the reports.
A page holds the hash of its notebook, and a test says when the two are no longer of each other.

    python scripts/render_notebooks.py             # those whose notebook has changed since
    python scripts/render_notebooks.py --all
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, PAGES = ROOT / "notebooks", ROOT / "docs" / "notebooks"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
#: Pixels of a drawn picture, and characters of a printed output before the rest is left out.
WIDTH, HEIGHT, LONGEST = 860, 420, 6_000
PLOTLY = "application/vnd.plotly.v1+json"


def main() -> int:
    """Render what is asked for; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", action="store_true", help="Also those that have not changed.")
    parser.add_argument("--only", help="Only the notebook of this number.")
    asked = parser.parse_args()
    for path in sorted(NOTEBOOKS.glob("*.py")):
        if asked.only and not path.name.startswith(f"{asked.only}_"):
            continue
        if not asked.all and is_fresh(path):
            print(f"{path.name}: unchanged")
            continue
        size = render(path)
        print(f"{path.name}: {size / 1000:.0f} kB")
    return 0


def stamp(path: Path) -> str:
    """The line that ties a page to its notebook."""
    return f"<!-- of {path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]} -->"


def page_of(path: Path) -> Path:
    """Where a notebook's page is."""
    return PAGES / f"{path.stem}.md"


def is_fresh(path: Path) -> bool:
    """Whether the page of a notebook was made from it as it is."""
    page = page_of(path)
    return page.is_file() and page.read_text().startswith(stamp(path))


def render(path: Path) -> int:
    """Run a notebook and write its page; the bytes of page and pictures."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for old in PAGES.glob(f"{path.stem}-*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "lab"
        cells = executed(path, home)
        pictures = Pictures(path.stem)
        parts = [part for cell in cells for part in cell_parts(cell, pictures)]
    named = f"This page is `notebooks/{path.name}`, run from top to bottom."
    head, _, rest = parts[0].partition("\n")
    page = "\n\n".join([stamp(path), head, named, rest.strip(), *parts[1:]])
    page = page.replace(str(home), "lab").replace(place, "")
    page_of(path).write_text(re.sub(r"\n{3,}", "\n\n", page).rstrip() + "\n")
    return page_of(path).stat().st_size + sum(one.stat().st_size for one in PAGES.glob(f"{path.stem}-*.png"))


def executed(path: Path, home: Path) -> list[Any]:
    """The cells of a notebook after it ran in a workspace of its own; no klines of this machine are looked for."""
    import jupytext
    import nbclient

    from dolphin import workspace

    workspace.create(home)
    os.environ["DOLPHIN_HOME"], os.environ["PYTHONPATH"] = str(home), str(ROOT)
    os.environ["DOLPHIN_KLINES_2022"] = str(home / "none")
    notebook = jupytext.read(path)
    where = {"metadata": {"path": str(home)}}
    nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3", resources=where).execute()
    return list(notebook.cells)


def cell_parts(cell: Any, pictures: Pictures) -> list[str]:
    """A cell as Markdown: its text or code, then what came of it."""
    if cell["cell_type"] == "markdown":
        return [cell["source"]]
    if cell["cell_type"] != "code" or not cell["source"].strip():
        return []
    printed = "".join(one["text"] for one in cell["outputs"] if one.get("name") == "stdout")
    parts = [f"```python\n{cell['source']}\n```"]
    if printed.strip():
        parts.append(block(printed))
    for output in cell["outputs"]:
        parts += shown(output.get("data", {}), pictures)
    return parts


def shown(data: dict[str, Any], pictures: Pictures) -> list[str]:
    """One output in its best form that a page without scripts can hold."""
    if PLOTLY in data:
        return [pictures.drawn(data[PLOTLY])]
    if "image/png" in data:
        return [pictures.kept(base64.b64decode(data["image/png"]))]
    html = data.get("text/html", "")
    if html and "<script" not in html:
        return [f'<div class="output">{one_line(html)}</div>']
    return [block(data["text/plain"])] if data.get("text/plain") else []


def one_line(html: str) -> str:
    """HTML in which Markdown finds nothing to read; styles would be of the whole page."""
    plain = re.sub(r"<style\b.*?</style>", "", html, flags=re.S)
    return " ".join(plain.split())


def block(text: str) -> str:
    """Text as it was printed."""
    text = text.rstrip("\n")
    rest = f"\n... {len(text) - LONGEST:,} more characters" if len(text) > LONGEST else ""
    return f"```text\n{text[:LONGEST]}{rest}\n```"


class Pictures:
    """The picture files of one page, numbered."""

    def __init__(self, name: str) -> None:
        self._name, self._count = name, 0

    def kept(self, png: bytes) -> str:
        """A picture that is one already."""
        self._count += 1
        file = PAGES / f"{self._name}-{self._count}.png"
        file.write_bytes(png)
        return f"![what the cell draws]({file.name})"

    def drawn(self, figure: dict[str, Any]) -> str:
        """A plotly figure, as a browser draws it."""
        return self.kept(photograph(figure))


def photograph(figure: dict[str, Any]) -> bytes:
    """PNG of a plotly figure."""
    program = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if program is None:
        raise SystemExit("render_notebooks: no Chromium here (Debian: apt-get install chromium)")
    script = plotly_script()
    height = int(figure.get("layout", {}).get("height") or HEIGHT)
    layout = {**figure.get("layout", {}), "width": WIDTH, "height": height}
    told = json.dumps({"data": figure["data"], "layout": layout}).replace("</", "<\\/")
    page = (
        '<!DOCTYPE html><meta charset="utf-8"><body style="margin:0;background:#fff"><div id="f"></div>'
        f"<script>{script}</script><script>const f={told};"
        "Plotly.newPlot('f',f.data,f.layout,{staticPlot:true});</script>"
    )
    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place) / "figure.html", Path(place) / "figure.png"
        source.write_text(page)
        words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        words += [f"--user-data-dir={place}/p", "--virtual-time-budget=8000", f"--window-size={WIDTH},{height}"]
        words += [f"--screenshot={out}", source.as_uri()]
        subprocess.run(words, check=True, capture_output=True, timeout=120)
        return out.read_bytes()


def plotly_script() -> str:
    """The plotly that is installed: figures of notebooks may be of any kind."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


if __name__ == "__main__":
    sys.exit(main())
