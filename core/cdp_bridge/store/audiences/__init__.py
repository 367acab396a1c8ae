"""Segments as the CDPs list them, and audiences as the platforms hold them."""
