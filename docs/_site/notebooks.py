"""Notebooks as pages: each is run from top to bottom, and the page shows what came out."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"

LIMIT = 150
"""Seconds that a notebook may take: well under a minute of a quiet machine."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every notebook.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell that fails; this stops the build.
        RuntimeError: A notebook that takes too long, or is stored with outputs.
    """
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if any(cell.get("outputs") for cell in notebook.cells):
            raise RuntimeError(f"{path.name} is stored with outputs; clear them")
        began = time.monotonic()
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc")
        NotebookClient(notebook, km=kernel, timeout=LIMIT).execute()
        if (took := time.monotonic() - began) > LIMIT:
            raise RuntimeError(f"{path.name} takes {took:.0f} s; at most {LIMIT} are allowed")
        names = {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
        text, resources = MarkdownExporter().from_notebook_node(notebook, {**names})
        note = f"\n\n*A [notebook]({path.name}) that is run whenever the site is built.*\n"
        title, _, rest = text.lstrip().partition("\n")
        page = f"notebooks/{path.stem}.md"
        files.append(File.generated(config, page, content=f"{title}{note}{rest}"))
        for name, data in resources["outputs"].items():
            files.append(File.generated(config, f"notebooks/{name}", content=data))
    return files
