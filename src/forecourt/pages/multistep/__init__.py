"""Multistep forms: pages of several steps, each a form of its own, that a person goes through at their own pace."""

from forecourt.pages.multistep.pages import MultistepPages

__all__ = ["MultistepPages"]
