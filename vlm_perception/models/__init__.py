"""Grounding and segmentation back-ends behind the protocols of :mod:`vlm_perception.models.base`; no ROS here."""
