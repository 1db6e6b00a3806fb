"""Reads pages as a browser would: tags with their attributes, and tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "input", "br", "img", "line", "rect", "polyline"}


@dataclass
class Cell:
    """Of a table."""

    attributes: dict[str, str]
    text: str = ""
    links: list[str] = field(default_factory=list)


@dataclass
class Row:
    """Of a table."""

    attributes: dict[str, str]
    cells: list[Cell] = field(default_factory=list)


class Page(HTMLParser):
    """What is on a page.

    Attributes:
        tags: all, in their order. tables: rows, heads included. scripts, text: of the page.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.file = file
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[Row]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.source = file.read_text(encoding="utf-8")
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        assert self._open == [], f"{file}: never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, attrs)
        told = {name: value or "" for name, value in attrs}
        self.tags.append((tag, told))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append(Row(told))
        elif tag in ("td", "th"):
            self.tables[-1][-1].cells.append(Cell(told))
        elif tag == "a" and "table" in self._open:
            self.tables[-1][-1].cells[-1].links.append(told["href"])
        elif tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, tag
        assert self._open.pop() == tag, f"{self.file}: {tag} is closed, {self._open} are open"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts[-1] += data
        elif self._open and self._open[-1] != "style":
            self.text += data
            if "td" in self._open or "th" in self._open:
                self.tables[-1][-1].cells[-1].text += data

    def table(self, head: str) -> list[Row]:
        """Rows below the heads of the table whose first heads begin so, such as "Rank Agent"."""
        for rows in self.tables:
            if " ".join(cell.text for cell in rows[0].cells).startswith(head):
                return rows[1:]
        raise AssertionError(f"{self.file} has no table {head!r}")
