import message_filters
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String


def stamped(stamp_ms):
    msg = CameraInfo()
    msg.header.stamp = Time(sec=stamp_ms // 1000, nanosec=stamp_ms % 1000 * 1_000_000)
    return msg


def stamp_ms(msg):
    return msg.header.stamp.sec * 1000 + msg.header.stamp.nanosec // 1_000_000


class Bench:
    """Inputs to a synchronizer, and the stamps of the sets that came out."""

    def __init__(self, make, inputs):
        self.inputs = [message_filters.SimpleFilter() for _ in range(inputs)]
        self.out = []
        self.sync = make(self.inputs)
        self.sync.registerCallback(lambda *msgs: self.out.append(tuple(map(stamp_ms, msgs))))

    def feed(self, *arrivals):
        for index, stamp in arrivals:
            self.inputs[index].signalMessage(stamped(stamp))
        return self.out


def approximate(inputs, queue_size=5, slop=0.05, **kwargs):
    return Bench(
        lambda fs: message_filters.ApproximateTimeSynchronizer(fs, queue_size, slop, **kwargs), inputs
    )


def test_callbacks_get_their_extra_arguments():
    source, got = message_filters.SimpleFilter(), []
    source.registerCallback(lambda *args: got.append(args), "a", 2)
    source.signalMessage("message")
    assert got == [("message", "a", 2)]


def test_exact_sets_come_out_when_complete():
    bench = Bench(lambda fs: message_filters.TimeSynchronizer(fs, 5), 2)
    assert bench.feed((0, 100), (1, 99), (0, 200)) == []
    assert bench.feed((1, 200)) == [(200, 200)]


def test_an_exact_set_drops_what_is_older():
    bench = Bench(lambda fs: message_filters.TimeSynchronizer(fs, 5), 2)
    bench.feed((0, 100), (0, 200), (1, 200))
    assert bench.feed((1, 100)) == [(200, 200)]


def test_the_nearest_of_several_wins():
    # at 130, the waiting 100 and 120 are both within 50 ms; 120 is nearer
    assert approximate(2).feed((0, 100), (0, 120), (1, 130)) == [(120, 130)]


def test_what_was_not_used_stays_for_the_next():
    bench = approximate(2)
    bench.feed((0, 100), (0, 120), (1, 130))
    assert bench.feed((1, 90)) == [(120, 130), (100, 90)]


def test_a_message_is_used_once():
    assert approximate(2).feed((0, 100), (1, 101), (1, 102)) == [(100, 101)]


@pytest.mark.parametrize(("apart_ms", "sets"), [(49, 1), (50, 0), (51, 0)])
def test_slop_is_a_strict_limit(apart_ms, sets):
    assert len(approximate(2).feed((0, 1000), (1, 1000 + apart_ms))) == sets


def test_slop_limits_the_whole_set_and_not_each_pair():
    # 60 and 100 are each within 50 of 100 or 140, but 60 and 140 are 80 apart
    assert approximate(3).feed((0, 60), (1, 140), (2, 100)) == []


def test_three_inputs_in_any_order():
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        stamps = (100, 110, 90)
        assert approximate(3).feed(*((i, stamps[i]) for i in order)) == [stamps]


def test_the_oldest_leaves_a_full_queue():
    bench = approximate(2, queue_size=2)
    bench.feed((0, 100), (0, 200), (0, 300))
    assert bench.feed((1, 100)) == []
    assert bench.feed((1, 200)) == [(200, 200)]


def test_without_a_header_nothing_comes_unless_allowed():
    for allowed in (False, True):
        inputs = [message_filters.SimpleFilter() for _ in range(2)]
        got = []
        sync = message_filters.ApproximateTimeSynchronizer(inputs, 5, 5.0, allow_headerless=allowed)
        sync.registerCallback(lambda *msgs, got=got: got.append(msgs))
        for source in inputs:
            source.signalMessage(String(data="x"))
        assert len(got) == allowed


def test_arrival_times_can_take_the_place_of_stamps():
    assert approximate(2, slop=5.0, sync_arrival_time=True).feed((0, 0), (1, 1_000_000)) == [
        (0, 1_000_000)
    ]
