"""Reading one segment of the spool: what ended, what is still open, and how far may be called committed."""

from __future__ import annotations

from typing import NamedTuple

from llmguard.usage import segments
from llmguard.usage.lines import INTENT, Line, decode

Key = tuple[str, int]
_PIECE = 4 * 1024 * 1024  # bytes that are read at once; many times the longest line


class Open(NamedTuple):
    """An intent whose finish has not been read."""

    at: int
    line: Line


class Reading:
    """The state of reading a segment.

    The committed offset never passes an intent that is open: whoever reads the segment after a crash sees it again.

    Args:
        path: of the segment.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.committed = segments.committed_offset(path)
        self.at = self.committed
        self.open: dict[Key, Open] = {}
        self.corrupt = 0
        self._noted = (self.committed, self.committed)

    def read(self) -> list[Line]:
        """The lines of what was appended since, in order, but for the intents; a part of it when it is much.

        Raises:
            OSError: the segment cannot be read.
        """
        piece = segments.read(self.path, self.at, _PIECE)
        lines, end, corrupt = decode(piece, self.at)
        if end == self.at and len(piece) == _PIECE:
            end, corrupt = self.at + _PIECE, 1  # no line is that long: junk, behind which there may be lines
        self.corrupt += corrupt
        finished = []
        start = self.at
        for line in lines:
            if line.kind == INTENT:
                self.open[line.key] = Open(start, line)
            else:
                finished.append(line)
            start = line.end
        self.at = end
        return finished

    def has_more(self) -> bool:
        """Whether there is a whole line behind what was read, or more than a line can be."""
        try:
            piece = segments.read(self.path, self.at, _PIECE)
        except OSError:
            return False
        return b"\n" in piece or len(piece) == _PIECE

    def commit(self) -> None:
        """Note that what was read is in the database, but for what is open.

        Raises:
            OSError: the offset cannot be written; the lines are read again after a crash, which changes nothing.
        """
        offset = min((entry.at for entry in self.open.values()), default=self.at)
        if (offset, self.at) != self._noted:
            segments.commit_offset(self.path, offset, self.at)
            self._noted = (offset, self.at)
            self.committed = offset
