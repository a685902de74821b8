"""A form with a song, written to disk while it comes in."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from longdance.errors import InputError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_LONGEST_FIELD = 10_000
_MOST_PARTS = 10


class Form(NamedTuple):
    """What came: the plain fields, and what the song's file was called (None where there was none)."""

    fields: dict[str, str]
    file_name: str | None


async def receive(request: Request, target: Path, *, file_field: str) -> Form:
    """Write the form's file to ``target``; ``InputError`` for what is no such form. Whoever calls removes the file.

    Only what is sent as ``file_field`` is written, and names in the form do not matter for where.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InputError(f"expected a form (multipart/form-data) with a file as {file_field!r}")
    with open(target, "wb") as file:
        parts = _Parts(file, file_field)
        try:
            parser = MultipartParser(boundary, parts.callbacks())
            async for chunk in request.stream():
                parser.write(chunk)
            parser.finalize()
        except FormParserError as error:
            raise InputError("expected a whole form, got a damaged one; try again") from error
    if not parts.complete:
        raise InputError("expected a whole form, got a part of one; try again")
    return Form(parts.fields, parts.file_name)


class _Parts:
    """Takes the parts of a form as the parser finds them."""

    def __init__(self, file, file_field: str):
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self.complete = False
        self._file, self._file_field = file, file_field
        self._header, self._value = b"", b""
        self._disposition = b""
        self._name = ""
        self._text = b""
        self._is_file = False
        self._count = 0

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise InputError(f"expected at most {_MOST_PARTS} fields in the form, got more")
        self._disposition, self._text, self._is_file, self._name = b"", b"", False, ""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) > _LONGEST_FIELD:
            raise InputError("expected a form with short headers, got a long one")

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name == self._file_field and b"filename" in options:
            if self.file_name is not None:
                raise InputError(f"expected one file as {self._file_field!r}, got several; send them one by one")
            self._is_file = True
            self.file_name = options[b"filename"].decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _LONGEST_FIELD:
            raise InputError(f"expected short texts beside the file, got more than {_LONGEST_FIELD} letters")

    def _end(self) -> None:
        if not self._is_file:
            self.fields[self._name] = self._text.decode("utf-8", "replace")

    def _all(self) -> None:
        self.complete = True
