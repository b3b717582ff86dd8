"""Stand-in for the part of ROS 2's message_filters that vlm_perception uses.

Names, call signatures and matching rules are those of the package in ROS 2 Jazzy.
"""

import itertools
import threading

from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time

__all__ = ["ApproximateTimeSynchronizer", "SimpleFilter", "Subscriber", "TimeSynchronizer"]


class SimpleFilter:
    """Something that callbacks can be registered with."""

    def __init__(self):
        self.callbacks = {}

    def registerCallback(self, cb, *args):  # noqa: N802 -- the public name
        """Call `cb(*messages, *args)` for every output; return the connection's number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg):  # noqa: N802 -- the public name
        """Hand messages to every registered callback."""
        for callback, args in list(self.callbacks.values()):
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as a filter: `Subscriber(node, msg_type, topic, qos_profile=10, ...)`."""

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.node, _, self.topic = args[:3]
        kwargs.setdefault("qos_profile", 10)
        self.sub = self.node.create_subscription(*args[1:], self.callback, **kwargs)

    def callback(self, msg):
        """Pass a received message on."""
        self.signalMessage(msg)

    def getTopic(self):  # noqa: N802 -- the public name
        """Return the topic as it was given."""
        return self.topic

    def __getattr__(self, key):
        """Everything else is the subscription's."""
        if key == "sub":
            raise AttributeError(key)
        return getattr(self.sub, key)


class TimeSynchronizer(SimpleFilter):
    """Calls back with one message of each input once all of one stamp have arrived."""

    def __init__(self, fs, queue_size):
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.connectInput(fs)

    def connectInput(self, fs):  # noqa: N802 -- the public name
        """Take the filters `fs` as inputs."""
        self.queues = [{} for _ in fs]
        self.input_connections = [
            source.registerCallback(self.add, queue, index)
            for index, (source, queue) in enumerate(zip(fs, self.queues, strict=True))
        ]

    def add(self, msg, my_queue, my_queue_index=None):  # noqa: ARG002 -- the public signature
        """Queue a message, and call back when it completes a set."""
        with self.lock:
            self._put(my_queue, Time.from_msg(msg.header.stamp).nanoseconds, msg)
            common = set.intersection(*(set(queue) for queue in self.queues))
            if not common:
                return
            stamp = min(common)
            self.signalMessage(*(queue[stamp] for queue in self.queues))
            for queue in self.queues:
                for old in [s for s in queue if s <= stamp]:
                    del queue[old]

    def _put(self, queue, stamp, msg):
        queue[stamp] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Like TimeSynchronizer, for stamps that differ by less than `slop` seconds.

    Of the sets that a new message completes, the one whose other stamps are nearest to it wins.
    """

    def __init__(self, fs, queue_size, slop, allow_headerless=False, sync_arrival_time=False):  # noqa: FBT002
        super().__init__(fs, queue_size)
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless
        self.sync_arrival_time = sync_arrival_time

    def add(self, msg, my_queue, my_queue_index=None):
        """Queue a message, and call back when it completes a set."""
        stamp = self._stamp(msg)
        if stamp is None:
            return
        slop = self.slop.nanoseconds
        with self.lock:
            self._put(my_queue, stamp, msg)
            choices = []
            for index, queue in enumerate(self.queues):
                if index == my_queue_index:
                    choices.append([stamp])
                    continue
                near = [s for s in queue if abs(s - stamp) <= slop]
                choices.append(sorted(near, key=lambda s: abs(s - stamp)))
            for stamps in itertools.product(*choices):
                chosen = list(zip(self.queues, stamps, strict=True))
                if max(stamps) - min(stamps) < slop and all(s in q for q, s in chosen):
                    self.signalMessage(*(queue[s] for queue, s in chosen))
                    for queue, s in chosen:
                        del queue[s]
                    return

    def _stamp(self, msg):
        if self.sync_arrival_time:
            return ROSClock().now().nanoseconds
        if hasattr(msg, "header") and hasattr(msg.header, "stamp"):
            return Time.from_msg(msg.header.stamp).nanoseconds
        if not self.allow_headerless:
            get_logger("message_filters").warning(
                "cannot use a message without a header; set allow_headerless to use arrival times"
            )
            return None
        return ROSClock().now().nanoseconds
