"""Errors that are the reader's to mend."""


class UserError(Exception):
    """An error whose message is all that its reader needs.

    The tools print it without a traceback. It says what was expected, what was
    found and what to do.
    """
