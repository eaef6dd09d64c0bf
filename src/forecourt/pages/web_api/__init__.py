"""The portal Web API ``/_api``: sessions and anti-forgery here, rows and rules behind ``DataverseRequests``."""

from forecourt.pages.web_api.endpoint import PortalApi

__all__ = ["PortalApi"]
