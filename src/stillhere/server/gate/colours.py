"""One colour of a site's own, made readable on light and on dark."""

from __future__ import annotations

from typing import Final

LIGHT: Final = ((250, 249, 245), (242, 240, 234))
DARK: Final = ((25, 29, 26), (42, 47, 43))
"""What the colour stands on in `static/base.css`: paper and what is sunken, or surface and line."""

READABLE: Final = 4.5
"""WCAG 2.2, 1.4.3."""

Colour = tuple[int, int, int]


def accents(colour: str) -> str:
    """Write the style sheet that gives pages an accent.

    Args:
        colour: `#rrggbb`. Where it could not be read it is darkened on light, and lightened on dark.
    """
    wanted = _read(colour)
    light = _written(_readable(wanted, LIGHT, (0, 0, 0)))
    dark = _written(_readable(wanted, DARK, (255, 255, 255)))
    on_dark = _variables(dark, "#0b0d0c", "white", 80)
    return f":root {{ {_variables(light, '#ffffff', 'black', 88)} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {on_dark} }} }}\n"


def contrast(one: Colour, other: Colour) -> float:
    """Tell how much two colours differ (WCAG 2.2, contrast ratio): 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _variables(accent: str, on_accent: str, towards: str, strong: int) -> str:
    return (
        f"--accent: {accent}; --on-accent: {on_accent}; --accent-strong: color-mix(in srgb, {accent} {strong}%, {towards}); "
        f"--accent-soft: color-mix(in srgb, {accent} 12%, var(--surface)); --accent-mid: color-mix(in srgb, {accent} 50%, var(--surface));"
    )


def _readable(colour: Colour, papers: tuple[Colour, ...], towards: Colour) -> Colour:
    for part in range(101):
        mixed = tuple(round(own + (other - own) * part / 100) for own, other in zip(colour, towards, strict=True))
        found: Colour = (mixed[0], mixed[1], mixed[2])
        if all(contrast(found, paper) >= READABLE for paper in papers):
            return found
    return towards  # pragma: no cover  # black is readable on light, and white on dark


def _luminance(colour: Colour) -> float:
    red, green, blue = (part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour)  # noqa: PLR2004  # WCAG's own
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _read(colour: str) -> Colour:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _written(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
