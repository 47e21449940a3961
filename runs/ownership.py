"""Whose a file is: a command replaces what it wrote itself, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

_HEAD = 1 << 18
"""Bytes in which a file says who wrote it; a page's style comes before."""


def mark(generator: str) -> str:
    """What a page of HTML holds in its head to say which command wrote it."""
    return f'<meta name="generator" content="{escape(generator)}">'


def refuse_foreign(
    path: Path, generator: str, *, beside: Sequence[str] = (), begins: str = ""
) -> None:
    """Raise unless a path is free or holds a file that the command wrote.

    Pages, PNG and SVG pictures name the command; data and captions beside a picture cannot, and
    are the command's where a picture of the same name is.

    Args:
        path: The page or picture to be written.
        generator: The command, ``apw weights``.
        beside: Endings of files of the same name that are written too.
        begins: The first line of a table that only this command writes.

    Raises:
        ValueError: A path holds something else.

    >>> refuse_foreign(Path("/dev/null"), "apw diagnose")
    Traceback (most recent call last):
    ...
    ValueError: /dev/null is there and was not written by apw diagnose; name another file
    """
    foreign = [] if _free(path) or _wrote(path, generator, begins) else [path]
    if not any(_wrote(path.with_suffix(ending), generator) for ending in (".png", ".svg")):
        companions = [path.with_suffix(ending) for ending in beside]
        foreign += [companion for companion in companions if not _free(companion)]
    if foreign:
        raise ValueError(
            f"{foreign[0]} is there and was not written by {generator}; name another file"
        )


def picture_kind(path: Path, generator: str = "") -> str:
    """The kind of picture that a file's name asks for, png or svg.

    Raises:
        ValueError: Another ending, or a file, or data beside it, that the generator did not write.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in ("png", "svg"):
        raise ValueError(f"a figure's name must end in .png or .svg; got {path.name}")
    if generator:
        refuse_foreign(path, generator, beside=(".csv",))
    return kind


def refuse_file(folder: Path, option: str = "--out") -> None:
    """Raise if what is to be a folder is a file.

    Raises:
        ValueError: It, or a folder that it is to lie in, is a file.

    >>> refuse_file(Path("/dev/null"))
    Traceback (most recent call last):
    ...
    ValueError: /dev/null is a file; name a folder with --out
    """
    for place in (folder, *folder.parents):
        if place.is_dir():
            return
        if not _free(place):
            raise ValueError(f"{place} is a file; name a folder with {option}")


def refuse_foreign_report(folder: Path, generator: str) -> None:
    """Raise unless a folder may get ``report.html`` and pictures below ``figures``.

    Hours may pass before these are written; what they would replace is looked for first.

    Raises:
        ValueError: The folder is a file, or holds such files that the command did not write.
    """
    refuse_file(folder)
    refuse_foreign(folder / "report.html", generator)
    for picture in sorted((folder / "figures").rglob("*.[ps][nv]g")):
        refuse_foreign(picture, generator)


def _free(path: Path) -> bool:
    return not path.exists() and not path.is_symlink()


def _wrote(path: Path, generator: str, begins: str = "") -> bool:
    if not path.is_file():
        return False
    name = escape(generator)
    marks = (mark(generator), f"Software\0{generator}", f"<dc:title>{name}</dc:title>")
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if begins and head.splitlines()[:1] == [begins.encode()]:
        return True
    return any(sign.encode() in head for sign in marks)
