"""Pages as readers see them: the rules that judge them, and the pages that stand alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SVG = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='20'/>"
FAULTS = {
    "cut at the edge": "<p style='white-space:nowrap;width:20px;position:absolute;left:1390px'>"
    "far too long for the page that it stands on</p>",
    "the page is": "<div style='width:1500px'>wide</div>",
    "contrast": "<p style='color:#999'>faint words on white</p>",
    "lies on": "<p style='position:absolute;top:0;left:0'>one</p>"
    "<b style='position:absolute;top:3px;left:2px'>two</b>",
    "a picture is cut": "<div style='overflow-x:auto'><img alt='wide' style='width:1500px' src=\""
    f'{SVG.format(1500)}"></div>',
    "a picture is shrunk": f"<img alt='wide' style='width:300px' src=\"{SVG.format(600)}\">",
    "code is cut": f"<pre style='overflow-x:auto'>{'word ' * 300}</pre>",
    "no picture": "<img alt='a curve' src='data:image/png;base64,AAAA'>",
}
SOUND = """<p style='color:#595959'>words that can be read, <b>some of them bold</b></p>
<div style='overflow-x:auto'><div style='width:3000px'>a table that scrolls by itself</div></div>
<p hidden style='color:#fefefe'>nobody sees this</p><details><summary>more</summary>
<span style='color:#fefefe'>nor this</span></details>"""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(browser: Any, tmp_path: Path, fault: str) -> None:
    page = tmp_path / "page.html"
    head = "<!DOCTYPE html><meta name=viewport content='width=device-width'>"
    page.write_text(f"{head}<body style='background:#fff'>{SOUND}{FAULTS[fault]}")
    found = browser.unreadable(page)
    assert any(fault in words for words in found), found
    page.write_text(f"{head}<body style='background:#fff'>{SOUND}")
    assert browser.unreadable(page) == []
