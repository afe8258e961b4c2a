"""Stands in for Wagtail Live, which no longer runs on a Python of today: the parts that a publisher meets."""
