"""The pages for those who administer a solution."""

from __future__ import annotations

from forecourt.studio.application import Studio, StudioOptions

__all__ = ["Studio", "StudioOptions"]
