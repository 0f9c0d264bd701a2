"""An end of a rank that its user is meant to read: one line and an exit code, no traceback."""

BAD_REQUEST, UNFIT = 2, 3  # the exit codes of the command line: what was asked for is wrong; this environment cannot do it


class Refused(Exception):
    """The rank cannot do what it was given; `str()` is the whole message."""

    def __init__(self, message: str, exit_code: int = BAD_REQUEST) -> None:
        super().__init__(message)
        self.exit_code = exit_code
