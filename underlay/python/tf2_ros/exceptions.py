"""What a lookup can raise."""


class TransformException(Exception):
    """Base of them all."""


class ConnectivityException(TransformException):
    """The two frames are in different trees."""


class LookupException(TransformException):
    """A frame is not known."""


class ExtrapolationException(TransformException):
    """There is no data at the time asked for."""


class InvalidArgumentException(TransformException):
    """A frame name or a quaternion is malformed."""


class TimeoutException(TransformException):
    """An answer did not come in time."""
