"""A table that is printed as plain text or as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of words under a title, with an optional note below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def text(self) -> str:
        """Aligned columns; numbers to the right."""
        if not self.rows:
            return f"{self.title}\n  none"
        lines = [list(self.columns), *(list(row) for row in self.rows)]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.columns))]
        right = [all(_is_number(row[k]) for row in self.rows) for k in range(len(self.columns))]
        drawn = [
            "  "
            + "  ".join(
                cell.rjust(width) if end else cell.ljust(width)
                for cell, width, end in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        ]
        note = textwrap.wrap(self.note, 116, initial_indent="  ", subsequent_indent="  ") if self.note else []
        return "\n".join([self.title, *drawn, *note])

    def markdown(self) -> str:
        """A GitHub table under a heading."""
        parts = [f"## {self.title}"]
        if self.rows:
            right = [all(_is_number(row[k]) for row in self.rows) for k in range(len(self.columns))]
            lines = [self.columns, ["--:" if end else ":--" for end in right], *self.rows]
            parts.append(
                "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
            )
        else:
            parts.append("None.")
        return "\n\n".join([*parts, *([self.note] if self.note else [])])


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip("%") or 0)
    except ValueError:
        return cell == "-"
    return True
