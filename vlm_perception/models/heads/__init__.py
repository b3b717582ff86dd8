"""Detection heads: images + phrases -> one score a (query, phrase) and one box a query.

One module an architecture; :mod:`vlm_perception.models.detection_head` turns their output into detections.
"""
