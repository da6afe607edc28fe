"""A submission put into the queue, proved as far as that is done at once: by the API and the pages alike."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool

from tuner.service.access.accounts import Caller
from tuner.service.commands import Commands
from tuner.service.database.rows import UserRow
from tuner.service.searches import submit
from tuner.service.services import Services
from tuner.service.submissions.proving import overrides_of, require_overrides, require_space
from tuner.service.submissions.submission import Submission


async def submit_proved(
    services: Services, commands: Commands, caller: Caller, submission: Submission, key: str | None = None
) -> str:
    """Put a search into the queue; its name.

    Args:
        key: as `searches.submit`

    Raises:
        UserError, ConflictError: as `searches.submit`; or every mistake of the space and of what is replaced in it.
        TooManyError: too many other spaces are being proved.
    """
    if submission.space_yaml is not None:
        await require_space(commands, submission.space_yaml, overrides_of(submission))
    return await run_in_threadpool(_submit, services, caller, submission, key)


def _submit(services: Services, caller: Caller, submission: Submission, key: str | None) -> str:
    with services.database.session() as session:
        # one at a time of a user, so that a submission that is sent twice at once finds its key
        user = session.get_one(UserRow, caller.user_id, with_for_update=True)
        row, is_new = submit(session, submission, user, services.settings.results, datetime.now(UTC), key)
        if is_new:
            require_overrides(submission)  # of a space that is known by now; its mistakes take the row back
        return row.name
