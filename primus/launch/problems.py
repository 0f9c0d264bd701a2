"""The errors that a user is meant to read. Each ends the command with its exit code and one message, no traceback."""

OK, JOB_FAILED, BAD_REQUEST, UNFIT, INTERRUPTED = 0, 1, 2, 3, 130


class Complaint(Exception):
    """Something that the user can mend; `str()` is the whole message."""

    exit_code = BAD_REQUEST


class BadRequest(Complaint):
    """What was asked for is wrong: a key, a value, a file (exit code 2)."""


class Unfit(Complaint):
    """The request is right, this environment cannot serve it: a backend or a device is missing (exit code 3)."""

    exit_code = UNFIT
