"""Everything that imports rclpy; nothing else does."""
