"""The portal's site: its definitions as frozen records, and the reader of the folder that holds them."""

from forecourt.pages.site.definitions import (
    FormDefinition,
    FormMode,
    FormSource,
    LinkImage,
    LinkSet,
    ListDefinition,
    ListView,
    Page,
    PageContent,
    PageRight,
    PageRule,
    RuleScope,
    WebFile,
    WebLink,
    WebRole,
    WebsiteAccess,
    WebsiteRight,
)
from forecourt.pages.site.loader import load_site
from forecourt.pages.site.site import Site, WebRoles
from forecourt.pages.site.step_definitions import (
    FormStep,
    MultistepForm,
    StepKind,
)

__all__ = [
    "FormDefinition",
    "FormMode",
    "FormSource",
    "FormStep",
    "LinkImage",
    "LinkSet",
    "ListDefinition",
    "ListView",
    "MultistepForm",
    "Page",
    "PageContent",
    "PageRight",
    "PageRule",
    "RuleScope",
    "Site",
    "StepKind",
    "WebFile",
    "WebLink",
    "WebRole",
    "WebRoles",
    "WebsiteAccess",
    "WebsiteRight",
    "load_site",
]
