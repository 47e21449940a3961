"""Recipes: configurations that ship with a package, one TOML file each."""

from __future__ import annotations

from pathlib import Path


def recipe_names(folder: Path) -> list[str]:
    """Names of the recipes of a folder."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def recipe_file(name: str | Path, folder: Path) -> Path:
    """The file of a recipe.

    Args:
        name: Name of a shipped recipe, or path of a TOML file.
        folder: Where the shipped ones are.

    Raises:
        FileNotFoundError: No recipe of that name; the message lists the shipped ones.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return path
    path = folder / f"{name}.toml"
    if not path.is_file():
        raise FileNotFoundError(
            f"no recipe {str(name)!r}; the recipes are {', '.join(recipe_names(folder))}, "
            "or give the path of a .toml file"
        )
    return path
