"""A picture: what is drawn, the data it is drawn from, and the sentence it is to prove."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from figures.style import Theme, house_style
from runs.files import Replacing, write_text
from runs.ownership import picture_kind, refuse_foreign


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
    _rendered: dict[tuple[str, Theme, str], bytes] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )

    def render(self, kind: str, theme: Theme = "light", *, generator: str = "") -> bytes:
        """The picture as ``png`` or ``svg``; the same bytes for the same data."""
        key = (kind, theme, generator)
        if key not in self._rendered:
            self._rendered[key] = self._render(kind, theme, generator or None)
        return self._rendered[key]

    def _render(self, kind: str, theme: Theme, generator: str | None) -> bytes:
        buffer = io.BytesIO()
        metadata = (
            {"Date": None, "Creator": generator} if kind == "svg" else {"Software": generator}
        )
        with house_style(theme):
            self.draw(theme).savefig(buffer, format=kind, metadata=metadata)
        return buffer.getvalue()

    def save(
        self,
        folder: Path | str,
        *,
        kinds: tuple[str, ...] = ("png", "svg"),
        dark: bool = False,
        generator: str = "",
    ) -> list[Path]:
        """Write the picture, its data as CSV and its caption as text into a folder.

        Args:
            folder: Where to.
            kinds: Of what kinds.
            dark: Write ``NAME.dark.svg`` too, for dark pages.
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
        if dark:
            written.append(folder / f"{self.name}.dark.svg")
            write_bytes(written[-1], self.render("svg", "dark", generator=generator))
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

    def data_address(self, theme: Theme = "light") -> str:
        """The picture as a ``data:`` address, for pages that load nothing."""
        encoded = base64.b64encode(self.render("svg", theme)).decode("ascii")
        return f"data:image/svg+xml;base64,{encoded}"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, atomically."""
    with Replacing(path) as temporary:
        Path(temporary).write_bytes(content)
