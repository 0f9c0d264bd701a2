"""The errors that a user is meant to read. Each ends the command with its exit code and one message, no traceback."""

OK, JOB_FAILED, BAD_REQUEST, UNFIT, INTERRUPTED = 0, 1, 2, 3, 130


class Complaint(Exception):
    """Something that the user can mend; `str()` is the whole message."""

    exit_code = BAD_REQUEST


class BadRequest(Complaint):
    """What was asked for is wrong: a key, a value, a file (exit code 2)."""


class WrongValue(BadRequest):
    """The value of one key is wrong. Who knows where it came from says so beside it (`config.reading.located`)."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(key, message)
        self.key = key

    def __str__(self) -> str:
        return ": ".join(self.args)


class JobFailed(Complaint):
    """A job that another launcher ran has failed; `exit_code` is that of the job where it is known."""

    exit_code = JOB_FAILED


class Unfit(Complaint):
    """The request is right, this environment cannot serve it: a backend or a device is missing (exit code 3)."""

    exit_code = UNFIT
