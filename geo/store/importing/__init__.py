"""Files into a city: deliveries, the work on them as jobs, what they change and the way back."""

from __future__ import annotations
