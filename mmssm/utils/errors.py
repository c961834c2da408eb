"""Errors that are the reader's to mend."""


class UserError(Exception):
    """An error whose message is all that its reader needs.

    The tools print it without a traceback. It says what was expected, what was
    found and what to do.
    """


class UsageError(UserError):
    """A command was called in a way that cannot be meant.

    ``mmssm`` prints how the command is used beside the message and ends with
    status 2.
    """
