"""Cameras, depth, and what turns a mask with depth into an object in space."""
