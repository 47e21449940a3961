"""A picture: what is drawn, the data it is drawn from, and the sentence it is to prove."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from figures.stacked import StackedFigure
from figures.style import COLUMN, WIDE, Theme, house_style
from runs.files import Replacing, write_text
from runs.ownership import picture_kind, refuse_foreign

_PATHS = re.compile(rb' d="[^"]*"')

_DIGITS = re.compile(rb"(\.\d\d)\d+")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure with its data and caption.

    Attributes:
        name: File name without ending.
        title: A few words.
        caption: What is shown and what is claimed.
        alternative: What a reader who cannot see it is told.
        data: Tidy table of everything that is drawn.
        draw: Function from a theme to the Matplotlib figure.
    """

    name: str
    title: str
    caption: str
    alternative: str
    data: pd.DataFrame
    draw: Callable[[Theme], Figure]
    _rendered: dict[tuple[str, Theme, str, bool], bytes] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )

    def render(
        self, kind: str, theme: Theme = "light", *, generator: str = "", narrow: bool = False
    ) -> bytes:
        """The picture as ``png`` or ``svg``; the same bytes for the same data.

        Args:
            kind: ``png`` or ``svg``.
            theme: Light or dark.
            generator: As in :meth:`save`.
            narrow: As in :func:`figures.style.house_style`.
        """
        key = (kind, theme, generator, narrow)
        if key not in self._rendered:
            self._rendered[key] = self._render(kind, theme, generator or None, narrow)
        return self._rendered[key]

    @property
    def width(self) -> float:
        """Width in inches, where there is room for it."""
        points = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', self.render("svg"))
        return float(points[1]) / 72 if points else WIDE

    @property
    def has_narrow(self) -> bool:
        """Whether it is another picture on a telephone: it is wider than a column."""
        return self.width > 1.1 * COLUMN

    @property
    def is_stacked(self) -> bool:
        """Whether panels that stand side by side stand below each other on a telephone."""
        with house_style(narrow=True):
            figure = self.draw("light")
        return isinstance(figure, StackedFigure) and figure.is_stacked

    def _render(self, kind: str, theme: Theme, generator: str | None, narrow: bool) -> bytes:
        buffer = io.BytesIO()
        metadata = (
            {"Date": None, "Creator": generator} if kind == "svg" else {"Software": generator}
        )
        with house_style(theme, narrow=narrow):
            self.draw(theme).savefig(buffer, format=kind, metadata=metadata)
        return _compact(buffer.getvalue()) if kind == "svg" else buffer.getvalue()

    def save(
        self,
        folder: Path | str,
        *,
        kinds: tuple[str, ...] = ("png", "svg"),
        pages: bool = False,
        generator: str = "",
    ) -> list[Path]:
        """Write the picture, its data as CSV and its caption as text into a folder.

        Args:
            folder: Where to.
            kinds: Of what kinds.
            pages: Write what pages show besides: ``NAME.dark.svg`` and, of a picture that is
                another one on a telephone, ``NAME.narrow.svg`` and ``NAME.narrow.dark.svg``.
            generator: The command that writes it, which then replaces only pictures of its own.

        Returns:
            The files written.

        Raises:
            ValueError: A file that is there and is not the generator's.
        """
        folder = Path(folder)
        if generator:
            self.refuse_foreign(folder, generator, kinds)
        written = []
        for kind in kinds:
            written.append(folder / f"{self.name}.{kind}")
            write_bytes(written[-1], self.render(kind, generator=generator))
        for narrow, theme in self.shown() if pages else ():
            if (narrow, theme) == (False, "light"):
                continue  # written above, or not wanted as SVG
            written.append(folder / f"{self.name}{suffix(narrow, theme)}.svg")
            write_bytes(written[-1], self.render("svg", theme, generator=generator, narrow=narrow))
        written += [folder / f"{self.name}.csv", folder / f"{self.name}.txt"]
        write_text(written[-2], self.data.to_csv(index=False, float_format="%.10g"))
        write_text(written[-1], f"{self.title}\n\n{self.caption}\n")
        return written

    def refuse_foreign(
        self, folder: Path, generator: str, kinds: Sequence[str] = ("png", "svg")
    ) -> None:
        """Raise where :meth:`save` would replace what the generator did not write."""
        for kind in kinds:
            refuse_foreign(folder / f"{self.name}.{kind}", generator, beside=(".csv", ".txt"))

    def save_as(self, path: Path, *, generator: str = "") -> None:
        """Write the picture as one file, of the kind its ending says, and its data beside it.

        Args:
            path: The file.
            generator: As in :meth:`save`.

        Raises:
            ValueError: An ending other than .png and .svg, or a file that is not the generator's.
        """
        kind = picture_kind(path, generator)
        write_bytes(path, self.render(kind, generator=generator))
        write_text(path.with_suffix(".csv"), self.data.to_csv(index=False, float_format="%.10g"))

    def shown(self) -> list[tuple[bool, Theme]]:
        """What a page shows, narrow or not and in which theme, in the order to be asked for."""
        narrow: list[tuple[bool, Theme]] = [(True, "dark"), (True, "light")]
        return [*(narrow if self.has_narrow else []), (False, "dark"), (False, "light")]

    def data_address(self, theme: Theme = "light", *, narrow: bool = False) -> str:
        """The picture as a ``data:`` address, for pages that load nothing."""
        encoded = base64.b64encode(self.render("svg", theme, narrow=narrow)).decode("ascii")
        return f"data:image/svg+xml;base64,{encoded}"


def _compact(svg: bytes) -> bytes:
    """The same picture in fewer bytes: paths to hundredths of a point, and no indentation."""
    svg = _PATHS.sub(lambda path: _DIGITS.sub(rb"\1", path[0]), svg)
    return re.sub(rb"\n +", b"\n", svg)


def suffix(narrow: bool, theme: Theme) -> str:
    """What the name of a file has besides, by what it is for.

    >>> suffix(True, "dark"), suffix(False, "light")
    ('.narrow.dark', '')
    """
    return ".narrow" * narrow + ".dark" * (theme == "dark")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, atomically."""
    with Replacing(path) as temporary:
        Path(temporary).write_bytes(content)
