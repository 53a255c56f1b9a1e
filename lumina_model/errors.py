"""The one exception that means: the caller asked for something that cannot be done."""


class UserError(ValueError):
    """A mistake that the caller can mend.

    The message says what was expected, what was found, where, and how to repair it:
    ``expected …, found …, in …; fix: …``. Command lines print it without a traceback and exit with 2.
    """

    #: Tells a harness that this message is for the user, without either importing the other.
    is_user_error = True
