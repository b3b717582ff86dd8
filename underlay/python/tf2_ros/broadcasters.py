"""Publishers of transforms."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class TransformBroadcaster:
    """Publishes transforms on /tf."""

    def __init__(self, node, qos=None):
        self.pub_tf = node.create_publisher(TFMessage, "/tf", qos or QoSProfile(depth=100))

    def sendTransform(self, transform):  # noqa: N802 -- the public name
        """Publish one TransformStamped or several."""
        self.pub_tf.publish(TFMessage(transforms=_as_list(transform)))


class StaticTransformBroadcaster:
    """Publishes transforms on /tf_static, latched; all that were ever sent go out together."""

    def __init__(self, node, qos=None):
        if qos is None:
            qos = QoSProfile(
                depth=1,
                durability=DurabilityPolicy.TRANSIENT_LOCAL,
                history=HistoryPolicy.KEEP_LAST,
            )
        self.net_message = TFMessage()
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)

    def sendTransform(self, transform):  # noqa: N802 -- the public name
        """Publish one TransformStamped or several; a child frame's newer one replaces the older."""
        by_child = {t.child_frame_id: t for t in self.net_message.transforms}
        by_child.update({t.child_frame_id: t for t in _as_list(transform)})
        self.net_message.transforms = list(by_child.values())
        self.pub_tf.publish(self.net_message)


def _as_list(transform):
    return list(transform) if hasattr(transform, "__iter__") else [transform]
