"""From dances, or models, to a report: reading, dancing, measuring, tables and pictures, and what people say.

The measures themselves are in ``longdance.metrics``.
"""
