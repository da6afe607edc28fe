"""What the service refuses, beside the mistakes of `UserError`."""

from __future__ import annotations


class NotFoundError(LookupError):
    """There is nothing of that name, or not for who asks."""


class ConflictError(RuntimeError):
    """What is asked for does not go with how things are now; one line that says what to do."""


class UnknownCallerError(PermissionError):
    """Who asks has not shown a token that counts."""


class ForbiddenError(PermissionError):
    """Who asks may not do that; one line that says who may."""


class TooManyError(RuntimeError):
    """Who asks is to come back later."""

    def __init__(self, told: str, wait_seconds: float = 1.0) -> None:
        super().__init__(told)
        self.wait_seconds = wait_seconds


class TooLargeError(ValueError):
    """What was sent is larger than the service takes."""


class LostLeaseError(RuntimeError):
    """Another server has taken over the database: this one may not begin or end anything any more."""
