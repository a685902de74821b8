"""Errors a user can cause. Everything else is a defect and raises Python's own exceptions."""


class LongdanceError(Exception):
    """Base of every error that longdance raises on purpose."""


class InputError(LongdanceError):
    """A file, option or value given by the user cannot be used; the message says what would do."""


class Cancelled(LongdanceError):
    """A progress callback asked for the work to stop; nothing half-written is left behind."""
