"""Parts of cluster files as models, with mistakes at their place in the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from search_spaces.document import Document
from trainable.errors import UserError

_Model = TypeVar("_Model", bound=BaseModel)


def parsed(model: type[_Model], document: Document, place: Sequence[str] = ()) -> _Model:
    """A part of a document.

    Raises:
        UserError: every mistake, one line each.
    """
    part: Any = document.data
    for key in place:
        part = part.get(key) if isinstance(part, dict) else None
    try:
        return model.model_validate(part)
    except ValidationError as error:
        raise UserError(*(_said(document, [*place, *found["loc"]], found["msg"]) for found in error.errors())) from None


def _said(document: Document, path: Sequence[str | int], text: str) -> str:
    return document.mistake(path, text.removeprefix("Value error, ").removeprefix("Input ").lower())
